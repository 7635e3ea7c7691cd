/** The exported file: its bytes, its checks, and the arrays in it, as `wave_jax.serving.file` reads them. */

/**
 * @typedef {{combine: string, read_out: string, pool: string, activation: string, voices: number}} Formula
 * @typedef {{shape: number[], values: Float32Array | Int8Array}} Stored
 * @typedef {object} Content
 * @property {Formula} formula
 * @property {Record<string, Stored>} arrays
 * @property {string} tokenizer
 * @property {string[]} classes
 * @property {number} max_length
 * @property {string} digest
 * @property {number} [threshold]  Of several labels a text; absent if a text has one.
 */

const START = 56; // bytes before the header

/**
 * Read what `file.pack` wrote; throw an Error for all else.
 * @param {Uint8Array<ArrayBuffer>} raw
 * @returns {Promise<Content>}
 */
async function unpack(raw) {
  const view = new DataView(raw.buffer, raw.byteOffset);
  const [header, body] = [view.getUint32(12, true), Number(view.getBigUint64(16, true))];
  if (raw.length !== START + header + body)
    throw new Error("The page is not whole: copy or export it again.");
  if (crypto.subtle) {
    // absent where a page was fetched without encryption
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", raw.slice(START)));
    if (digest.some((byte, i) => byte !== raw[24 + i]))
      throw new Error("The page is damaged: copy or export it again.");
  }
  const head = JSON.parse(new TextDecoder().decode(raw.subarray(START, START + header)));
  let place = START + header;
  /** @type {Record<string, Stored>} */
  const arrays = {};
  for (const [name, dtype, shape] of head.arrays) {
    const count = shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    const size = count * { float32: 4, float16: 2, int8: 1 }[/** @type {"int8"} */ (dtype)];
    const bytes = raw.buffer.slice(raw.byteOffset + place, raw.byteOffset + place + size);
    arrays[name] = {
      shape,
      values:
        dtype === "int8"
          ? new Int8Array(bytes)
          : dtype === "float32"
            ? new Float32Array(bytes)
            : halves(bytes),
    };
    place += size;
  }
  return { ...head, arrays, tokenizer: await inflated(raw.subarray(place)) };
}

/**
 * Return the text in what zlib compressed.
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
function inflated(bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
}

/**
 * Return numbers of float16 in float32.
 * @param {ArrayBuffer} bytes
 */
function halves(bytes) {
  return Float32Array.from(new Uint16Array(bytes), (bits) => {
    const [sign, exponent, rest] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + rest / 1024) : 2 ** -24 * rest);
  });
}

/**
 * Return rows of an array; one of int8 has a scale per row beside it.
 * @param {Record<string, Stored>} arrays
 * @param {string} name
 * @param {number} [first]
 * @param {number} [last]  all rows if not given
 * @returns {Float32Array}
 */
function restored(arrays, name, first = 0, last = arrays[name].shape[0]) {
  const { shape, values } = arrays[name];
  const width = shape[1] ?? 1;
  const x = Float32Array.from(values.subarray(first * width, last * width));
  const scale = arrays[`${name}.scale`]?.values;
  if (scale) for (let i = 0; i < x.length; i++) x[i] *= scale[first + Math.floor(i / width)];
  return x;
}
