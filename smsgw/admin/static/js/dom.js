// Two short names.
export const one = (selector, root) => (root || document).querySelector(selector);
export const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
