// The same as senders.test.ts, for a week of the mail servers.
process.env['MXALLOWD_SENDER_HOURS'] ??= '168';
await import('./senders.test.js');
