// Small values in the browser's storage; a browser that refuses storage forgets them, and the page works on.

/** The value kept in `"localStorage"` or `"sessionStorage"`; null without one. */
export function recall(area, name) {
  try {
    return window[area].getItem(name);
  } catch {
    return null;
  }
}

/** Keeps a value; null forgets it. */
export function keep(area, name, value) {
  try {
    if (value === null) window[area].removeItem(name);
    else window[area].setItem(name, value);
  } catch {
    // Storage is full or switched off: the choice lasts as long as the page.
  }
}
