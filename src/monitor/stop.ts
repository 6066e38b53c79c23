// How long an end may take.

/** The whole stop may take 5 s; so long what is pending is written, in milliseconds. */
export const WRITE_OUT_MS = 3500;
/** After so long an engine that does not end is killed, in milliseconds. */
export const KILL_AFTER_MS = 6000;
