"use strict";
// Ask whether a run has ended; load the page again where one has, and stay where the reader was.
const name = document.body.dataset.name, live = document.getElementById("live"), frame = document.querySelector("iframe");
let known = null;
async function look() {
  try {
    const states = await (await fetch("/state.json", { cache: "no-store" })).json();
    const now = name ? states[name] : JSON.stringify(states);
    if (known !== null && now !== known) {
      if (!frame) return location.reload();
      const at = frame.contentWindow.scrollY;
      frame.addEventListener("load", () => frame.contentWindow.scrollTo(0, at), { once: true });
      frame.contentWindow.location.reload();
    }
    known = now;
    live.textContent = "live";
  } catch {
    live.textContent = "the server has ended; this is what it last said";
  }
  setTimeout(look, 2000);
}
look();
