#!/usr/bin/env node
import { isBackgroundChild } from './service/background.js';
import { stopCompiling } from './service/compiler.js';

// the daemon in the background stays small: it does not load what reads a command line
if (isBackgroundChild(process.env)) {
  stopCompiling();
  await import('./background-daemon.js');
} else await import('./command-line.js');
