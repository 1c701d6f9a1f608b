/** Named settings, stored in this browser. */

/** @typedef {import("./settings.js").Settings} Settings */
const NAME = "presets";

/** @returns {Record<string, Settings>} */
export const presets = () => JSON.parse(localStorage.getItem(NAME) ?? "{}");

/** @param {string} name @param {Settings | undefined} settings undefined deletes the preset */
export const keepPreset = (name, settings) => localStorage.setItem(NAME, JSON.stringify({ ...presets(), [name]: settings }));
