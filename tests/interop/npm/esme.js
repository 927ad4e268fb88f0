// An ESME made of the npm package `smpp`: binds, sends what it is told on stdin, answers what it is sent.
//
// A line of JSON on stdin is a submit ({"to": "…", "text": "…", "how": "udh" | "sar" | "payload", "times": n}) or "bye".
// Every PDU that came is a line of JSON on stdout. With the argument "unbound" it sends without a bind.
'use strict';
const readline = require('readline');
const smpp = require('smpp');

const [port, user, password, mode] = process.argv.slice(2);

function say(line) {
  process.stdout.write(JSON.stringify(line, (_, value) =>
    value && value.type === 'Buffer' ? { hex: Buffer.from(value.data).toString('hex') } : value) + '\n');
}

const session = smpp.connect({ url: `smpp://127.0.0.1:${port}`, auto_enquire_link_period: 1000 });
session.on('error', (error) => say({ event: 'error', text: String(error) }));
session.on('close', () => process.exit(0));
session.on('connect', () => {
  if (mode === 'unbound') return say({ event: 'connected' });
  session.bind_transceiver({ system_id: user, password: password, interface_version: 0x34 }, (pdu) => say({ event: 'bound', ...pdu }));
});
session.on('pdu', (pdu) => {
  say({ event: 'pdu', ...pdu });
  if (pdu.command === 'deliver_sm' || pdu.command === 'enquire_link') session.send(pdu.response());
});

const COMMON = { source_addr: '10690001', dest_addr_ton: 1, dest_addr_npi: 1, registered_delivery: 1 };

function submit({ to, text, how, times }) {
  if (times) {
    for (let n = 0; n < times; n++) {
      session.submit_sm({ ...COMMON, registered_delivery: 0, destination_addr: to, short_message: `${text} ${n}` });
    }
    return;
  }
  if (how === 'payload') {
    session.submit_sm({ ...COMMON, destination_addr: to, data_coding: 8, message_payload: text });
    return;
  }
  const pieces = text.match(/[^]{1,67}/g);
  if (pieces.length === 1) {
    session.submit_sm({ ...COMMON, destination_addr: to, short_message: text });
    return;
  }
  if (how === 'sar') {
    pieces.forEach((piece, n) => session.submit_sm({
      ...COMMON, destination_addr: to, data_coding: 8, short_message: piece,
      sar_msg_ref_num: 77, sar_total_segments: pieces.length, sar_segment_seqnum: n + 1,
    }));
    return;
  }
  pieces.forEach((piece, n) => session.submit_sm({
    ...COMMON, destination_addr: to, data_coding: 8, esm_class: 0x40,
    short_message: { udh: Buffer.from([5, 0, 3, 77, pieces.length, n + 1]), message: piece },
  }));
}

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  if (order === 'bye') session.unbind(() => session.close());
  else submit(order);
});
