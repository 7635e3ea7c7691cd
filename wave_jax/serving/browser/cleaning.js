/** A text before it is tokens: HTML and feed debris cleaned away, as `wave_jax.data.cleaning` does it. */

/**
 * Return a text without debris, and where in the text each of its characters begins and ends.
 * @param {string} text
 * @param {Characters} characters
 */
function clean_with_spans(text, { debris, entities }) {
  const parts = /** @type {string[]} */ ([]);
  const [begin, end] = [/** @type {number[]} */ ([]), /** @type {number[]} */ ([])];
  let place = 0;
  const keep = (/** @type {number} */ until) => {
    parts.push(text.slice(place, until));
    for (; place < until; place++) (begin.push(place), end.push(place + 1));
  };
  for (const match of text.matchAll(new RegExp(debris, "giu"))) {
    keep(match.index);
    const entity = match[1] ?? match[2];
    const replacement = entity ? character(entity, entities) : " ";
    parts.push(replacement);
    place += match[0].length;
    for (let i = 0; i < replacement.length; i++) (begin.push(match.index), end.push(place));
  }
  keep(text.length);
  return { cleaned: parts.join(""), begin, end };
}

/**
 * Return what an entity stands for, as `html.unescape` does.
 * @param {string} entity  without its ampersand
 * @param {Record<string, string>} entities
 */
function character(entity, entities) {
  if (entity[0] !== "#") {
    for (let end = entity.length; end > 1; end--) {
      const name = entity.slice(0, end);
      if (Object.hasOwn(entities, name)) return entities[name] + entity.slice(end);
    }
    return `&${entity}`;
  }
  const number = /^#x/i.test(entity) ? parseInt(entity.slice(2), 16) : parseInt(entity.slice(1), 10);
  if (Object.hasOwn(entities, `#${number}`)) return entities[`#${number}`];
  if ((number >= 0xd800 && number <= 0xdfff) || number > 0x10ffff) return REPLACEMENT;
  return String.fromCodePoint(number);
}
