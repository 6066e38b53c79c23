#!/usr/bin/env node
// Starts what was asked for: the daemon in the background, or the command line.
import { isBackgroundChild } from './process/background.js';
import { staySmall } from './process/v8.js';

// the daemon in the background stays small: it does not load what reads a command line
if (isBackgroundChild(process.env)) {
  staySmall();
  await import('./process/background-main.js');
} else await import('./commands/command-line.js');
