// The same as double-start.test.ts, with many more starts.
process.env['MXALLOWD_DOUBLE_STARTS'] ??= '500';
await import('./double-start.test.js');
