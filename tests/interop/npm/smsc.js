// An SMSC made of the npm package `smpp`, told what to do by its test.
//
// It answers what must be answered and nothing more. Every PDU that came or went is a line of JSON on stdout; a line of
// JSON on stdin makes it send a request ({"send": "deliver_sm", "fields": {…}}) or choose the answers for a
// number, 0 being "taken" ({"refuse": "133…", "status": 11}), or to answer no submit ({"hold": true}), or to break the
// connection ({"cut": true}). Octets are {"hex": "…"} both ways. With a third argument, a file with a certificate and
// its key, it speaks TLS.
'use strict';
const readline = require('readline');
const smpp = require('smpp');

const fs = require('fs');
const [user, password, certificate] = process.argv.slice(2);
const tls = certificate ? { key: fs.readFileSync(certificate), cert: fs.readFileSync(certificate) } : {};
let hold = false;
const refused = new Map();
let serial = 0x10000000;
let session = null;

function say(line) {
  process.stdout.write(JSON.stringify(line, (_, value) =>
    value && value.type === 'Buffer' ? { hex: Buffer.from(value.data).toString('hex') } : value) + '\n');
}

function hear(line) {
  return JSON.parse(line, (_, value) =>
    value && typeof value.hex === 'string' ? Buffer.from(value.hex, 'hex') : value);
}

// The decoded PDU: `pdu` before it is sent still has its text, `toBuffer` replaces it by octets.
function note(direction, pdu) {
  say({ event: 'pdu', direction, ...pdu });
}

function send(pdu) {
  note('out', pdu);
  session.send(pdu);
}

function answer(pdu) {
  switch (pdu.command) {
    case 'bind_transceiver': {
      const known = pdu.system_id === user && pdu.password === password;
      return known ? { system_id: 'node-smpp', sc_interface_version: 0x34 } : { command_status: smpp.ESME_RBINDFAIL };
    }
    case 'submit_sm':
      return refused.get(pdu.destination_addr)
        ? { command_status: refused.get(pdu.destination_addr) }
        : { message_id: (serial++).toString(16) };
    case 'unbind':
    case 'enquire_link':
      return {};
    default:
      return { command_status: smpp.ESME_RINVCMDID };
  }
}

const server = smpp.createServer(tls, (opened) => {
  session = opened;
  say({ event: 'connected' });
  opened.on('pdu', (pdu) => {
    note('in', pdu);
    if (hold && pdu.command === 'submit_sm') return;
    if (!pdu.isResponse()) send(pdu.response(answer(pdu)));
    if (pdu.command === 'unbind') opened.close();
  });
  opened.on('error', (error) => say({ event: 'error', error: String(error) }));
  opened.on('close', () => say({ event: 'closed' }));
});

readline.createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = hear(line);
    if (order.cut) session.destroy();
    else if ('hold' in order) hold = order.hold;
    else if (order.refuse) refused.set(order.refuse, order.status);
    else send(new smpp.PDU(order.send, order.fields));
  })
  .on('close', () => process.exit(0));

server.listen(0, '127.0.0.1', () => say({ event: 'listening', port: server.address().port }));
