// The same as kill.test.ts, with many more kills.
process.env['MXALLOWD_KILLS'] ??= '200';
await import('./kill.test.js');
