/** A worker that hashes a file in pieces by SHA-256 (FIPS 180-4). crypto.subtle needs the whole file in memory. */

const PIECE = 4 * 2 ** 20;
const primes = [];
for (let number = 2; primes.length < 64; number++) if (primes.every((prime) => number % prime)) primes.push(number);
/** The first 32 bits of a fraction. */
const bits = (number) => ((number % 1) * 2 ** 32) | 0;
const K = Int32Array.from(primes, (prime) => bits(Math.cbrt(prime)));
const state = Int32Array.from(primes.slice(0, 8), (prime) => bits(Math.sqrt(prime)));
const words = new Int32Array(64);
const right = (word, by) => (word >>> by) | (word << (32 - by));

/** Processes one block of 64 bytes. @param {DataView} view */
function block(view, at) {
  for (let i = 0; i < 16; i++) words[i] = view.getInt32(at + 4 * i);
  for (let i = 16; i < 64; i++) {
    const x = words[i - 15], y = words[i - 2];
    words[i] = (words[i - 16] + (right(x, 7) ^ right(x, 18) ^ (x >>> 3)) + words[i - 7] + (right(y, 17) ^ right(y, 19) ^ (y >>> 10))) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const first = (h + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + words[i]) | 0;
    const second = ((right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + first) | 0;
    d = c; c = b; b = a; a = (first + second) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => { state[i] = (state[i] + word) | 0; });
}

function end(rest, size) {
  const padded = new Uint8Array(rest.length < 56 ? 64 : 128);
  padded.set(rest);
  padded[rest.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(size) * 8n);
  for (let at = 0; at < padded.length; at += 64) block(view, at);
  return [...state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

onmessage = async ({ data: file }) => {
  try {
    let rest = new Uint8Array();
    for (let at = 0; at < file.size; at += PIECE) {
      const bytes = new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer());
      const whole = bytes.length - (bytes.length % 64);
      const view = new DataView(bytes.buffer);
      for (let place = 0; place < whole; place += 64) block(view, place);
      rest = bytes.slice(whole);
      postMessage({ read: at + bytes.length });
    }
    postMessage({ digest: end(rest, file.size) });
  } catch (error) {
    postMessage({ error: error.message });
  }
};
