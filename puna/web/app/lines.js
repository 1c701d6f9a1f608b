/** Lines of text, from a stream of bytes. */

/** Yields each line that is not empty. @param {ReadableStream<Uint8Array>} bytes */
export async function* lines(bytes) {
  const reader = bytes.pipeThrough(new TextDecoderStream()).getReader();
  // Joined once a line: joining at each piece would take quadratic time for a long one.
  let pieces = [];
  for (;;) {
    const { value = "", done } = await reader.read();
    const [end, ...starts] = value.split("\n");
    pieces.push(end);
    for (const start of starts) {
      const line = pieces.join("");
      pieces = [start];
      if (line) yield line;
    }
    if (done) break;
  }
  const last = pieces.join("");
  if (last) yield last;
}
