/** A long list: only blocks near the window are drawn; the others keep their height. */
import { html, useEffect, useRef, useState } from "./view.js";

const SIZE = 20;
const NEAR = "1500px 0px";
// The assumed height of a block that was never drawn. The browser's scroll anchoring corrects a wrong guess.
const GUESS_PX = 2400;

/** @param {{count: number, place: {current: Element}, draw: (at: number) => unknown, kept: number}} shown
 *  `kept` is an index that is always drawn. */
export function Blocks({ count, place, draw, kept }) {
  const last = Math.ceil(count / SIZE) - 1;
  return Array.from({ length: last + 1 }, (_, at) => html`<${Block} key=${at} begin=${at * SIZE} end=${Math.min(count, (at + 1) * SIZE)}
    place=${place} draw=${draw} always=${at === last || Math.floor(kept / SIZE) === at} />`);
}

function Block({ begin, end, place, draw, always }) {
  const [near, setNear] = useState(false);
  const box = useRef(null);
  const height = useRef(GUESS_PX);
  useEffect(() => {
    function seen(entries) {
      const { isIntersecting, boundingClientRect } = entries.at(-1);
      if (!isIntersecting && boundingClientRect.height) height.current = boundingClientRect.height;
      setNear(isIntersecting);
    }
    const watch = new IntersectionObserver(seen, { root: place.current, rootMargin: NEAR });
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  if (!near && !always) return html`<div ref=${box} class="undrawn" style=${{ height: `${height.current}px` }}></div>`;
  return html`<div ref=${box} class="" style=${{ height: "" }}>${Array.from({ length: end - begin }, (_, at) => draw(begin + at))}</div>`;
}
