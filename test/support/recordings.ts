/**
 * The recordings of three systems below test/fixtures, with what their `.txt` says about them, and the synthetic ones
 * below test/fixtures/synthetic.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { SavefileParser } from '../../src/capture/savefile-parser.js';
import type { Frame } from '../../src/packet/frame.js';

// The compiled test runs from build/, the recordings stay where they are.
const FIXTURES = new URL('../../../test/fixtures/', import.meta.url);

/** Path of a file below test/fixtures. */
export function fixturePath(name: string): string {
  return fileURLToPath(new URL(name, FIXTURES));
}

/** A recording of Ethernet, not of pf's log. */
export const ETHERNET_RECORDING = 'pflog/06b-tap-host-side.pcap';

/** FreeBSD 10.4, OpenBSD 7.8, FreeBSD 15.1. */
const PFLOG_FOLDERS = ['pflog', 'openbsd/pflog', 'freebsd15/pflog'];

/** The recordings of pf's log, by their names below test/fixtures; the big ones are gzipped. */
export const PFLOG_RECORDINGS: readonly string[] = PFLOG_FOLDERS.flatMap((folder) =>
  readdirSync(fixturePath(folder))
    .filter((name) => /\.pcap(\.gz)?$/.test(name))
    .map((name) => `${folder}/${name}`)
    .filter((name) => name !== ETHERNET_RECORDING)
    .sort(),
);

/** The bytes of a file below test/fixtures, unzipped. */
export function readRecording(name: string): Buffer {
  const bytes = readFileSync(fixturePath(name));
  return name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

/** The frames of a recording; they share one buffer. */
export function framesOf(name: string): Frame[] {
  const frames: Frame[] = [];
  new SavefileParser(name, (frame) => frames.push(frame)).push(readRecording(name));
  return frames;
}

/** The text beside a recording. */
export function readNotes(name: string): string {
  const [folder = '', base = ''] = /^(.*)\/(.*)\.pcap(?:\.gz)?$/.exec(name)?.slice(1) ?? [];
  const text = readdirSync(fixturePath(folder)).find((file) => /^\.txt(\.gz)?$/.test(file.replace(base, '')));
  return readRecording(`${folder}/${text ?? ''}`).toString();
}

/** A section of such a text: the lines after the one that begins with `heading`, up to the next heading. */
export function sectionOf(notes: string, heading: string): string[] {
  const lines = notes.split('\n');
  const start = lines.findIndex((line) => line.startsWith(heading));
  if (start < 0) return [];
  const end = lines.findIndex((line, index) => index > start && line.startsWith('## '));
  return lines.slice(start + 1, end < 0 ? undefined : end);
}
