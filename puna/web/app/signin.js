/** The server's key: requested from the user once, and stored in this browser. */
import { say } from "./words.js";

const NAME = "key";
let asking;

/** @returns {string} the key; "" for none. */
export const key = () => localStorage.getItem(NAME) ?? "";

export const signOut = () => localStorage.removeItem(NAME);

/** Asks for another key than the refused one. @returns {Promise<boolean>} whether there is one. */
export async function signIn(refused) {
  if (key() !== refused) return true;
  asking ??= dialog().finally(() => { asking = undefined; });
  return asking;
}

function dialog() {
  const box = document.createElement("dialog");
  const form = Object.assign(document.createElement("form"), { method: "dialog" });
  const label = Object.assign(document.createElement("label"), { textContent: say("wantsKey") });
  const input = Object.assign(document.createElement("input"), { type: "password", required: true, autocomplete: "off" });
  const enter = Object.assign(document.createElement("button"), { textContent: say("signIn") });
  const cancel = Object.assign(document.createElement("button"), { type: "button", textContent: say("cancel") });
  cancel.onclick = () => box.close();
  label.append(input);
  form.append(label, enter, cancel);
  box.append(form);
  document.body.append(box);
  return new Promise((resolve) => {
    let submitted = false;
    form.onsubmit = () => { submitted = true; localStorage.setItem(NAME, input.value.trim()); };
    box.onclose = () => { box.remove(); resolve(submitted); };
    box.showModal();
  });
}
