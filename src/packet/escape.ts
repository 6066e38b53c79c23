// Makes text from outside fit for a terminal or a log. Pure.

/**
 * Makes text that came from outside fit for a log line or a terminal: control characters, everything beyond ASCII
 * and the backslash become `\xNN` or `\u{N}`, and it is cut to `max` characters.
 */
export function escapeText(text: string, max = 500): string {
  let safe = '';
  for (const character of text) {
    if (safe.length >= max) return `${safe}...`;
    const code = character.codePointAt(0) ?? 0;
    if (code >= 0x20 && code < 0x7f && character !== '\\') safe += character;
    else if (code < 0x100) safe += `\\x${code.toString(16).padStart(2, '0')}`;
    else safe += `\\u{${code.toString(16)}}`;
  }
  return safe;
}

/**
 * The same for text that should have been made fit already, by another process: only what is not a printable
 * character of ASCII is escaped, backslashes stay, and nothing is cut.
 */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, (character) => escapeText(character));
}
