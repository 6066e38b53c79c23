#!/usr/bin/env node
import { isBackgroundChild } from './service/background.js';
import { staySmall } from './service/v8.js';

// the daemon in the background stays small: it does not load what reads a command line
if (isBackgroundChild(process.env)) {
  staySmall();
  await import('./background-daemon.js');
} else await import('./command-line.js');
