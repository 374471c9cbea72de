// Relative times that stay true: <time datetime="…" data-say="span|ago|heard|ahead"> is said anew each second.

import { ago, ahead, heard, span } from "./words.js";

let skew = 0; // milliseconds that the server's clock is ahead of this one

export function setServerTime(instant) {
  skew = Date.parse(instant) - Date.now();
}

export function serverNow() {
  return Date.now() + skew;
}

const SAYINGS = { span, ago, heard, ahead: (seconds) => ahead(-seconds) };

export function say(time) {
  if (!time.dateTime) return;
  const seconds = (serverNow() - Date.parse(time.dateTime)) / 1000;
  const text = SAYINGS[time.dataset.say](seconds);
  if (time.textContent !== text) time.textContent = text;
}

export function sayAll(root = document) {
  for (const time of root.querySelectorAll("time[data-say]")) say(time);
}

export function setTime(time, instant) {
  if (time.dateTime !== (instant ?? "")) time.dateTime = instant ?? "";
  if (instant) say(time);
  else time.textContent = "";
}

export function startClock() {
  setInterval(() => {
    if (!document.hidden) sayAll();
  }, 1000);
}
