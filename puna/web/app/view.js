/** What views are written with: Preact by htm, and its hooks. */
import { h, render } from "../vendored/preact.js";
import htm from "../vendored/htm.js";

export const html = htm.bind(h);
export { render };
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendored/hooks.js";
