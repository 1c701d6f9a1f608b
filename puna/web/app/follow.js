/** Keeps the end of a growing text in view, until the reader scrolls up. */
import { useEffect, useRef, useState } from "./view.js";

// Positions are fractions of a pixel on some screens.
const NEAR_PX = 2;

/** Refs for the scrolling element and the growing one in it, whether the reader is away from the end, and `toEnd()`, which
 *  follows again. */
export function useFollow() {
  const place = useRef(null);
  const growing = useRef(null);
  const state = useRef({ follows: true, top: 0 });
  const [away, setAway] = useState(false);
  function atEnd() {
    if (!state.current.follows || !place.current) return;
    place.current.scrollTo(0, place.current.scrollHeight);
    // From now on, a position above this means that the reader scrolled.
    state.current.top = place.current.scrollTop;
  }

  useEffect(() => {
    const watch = new ResizeObserver(atEnd);
    watch.observe(growing.current);
    watch.observe(place.current);
    return () => watch.disconnect();
  }, []);
  function scrolled(event) {
    const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
    if (scrollHeight - scrollTop - clientHeight <= NEAR_PX) state.current.follows = true;
    else if (scrollTop < state.current.top) state.current.follows = false;
    state.current.top = scrollTop;
    setAway(!state.current.follows);
  }
  return { place, growing, scrolled, away, toEnd: () => { state.current.follows = true; setAway(false); atEnd(); } };
}
