// Style sheets of our own: mistakes, and what the oldest browsers that we promise do not know.
export default {
  plugins: ["stylelint-no-unsupported-browser-features"],
  rules: {
    "plugin/no-unsupported-browser-features": [
      true,
      {
        browsers: ["chrome 92", "firefox 102"],
        ignorePartialSupport: true,
        // Nothing is lost where they are not known.
        ignore: ["view-transitions", "cross-document-view-transitions", "css-scrollbar", "css-forced-colors-adjust"],
      },
    ],
    // The same, where the tables of the rule above have gaps.
    "function-disallowed-list": [
      "abs", "acos", "anchor", "asin", "atan", "atan2", "calc-size", "color", "color-contrast", "color-mix", "cos", "exp",
      "hwb", "hypot", "image-set", "lab", "lch", "light-dark", "linear", "log", "mod", "oklab", "oklch", "palette-mix",
      "pow", "rem", "round", "sibling-count", "sibling-index", "sign", "sin", "sqrt", "tan", "view", "scroll", "xywh",
    ],
    "at-rule-disallowed-list": [
      "container", "font-palette-values", "layer", "nest", "position-try", "property", "scope", "starting-style",
    ],
    "unit-disallowed-list": [
      "cap", "cqb", "cqh", "cqi", "cqmax", "cqmin", "cqw", "dvb", "dvh", "dvi", "dvmax", "dvmin", "dvw", "ic", "lh", "lvb",
      "lvh", "lvi", "lvmax", "lvmin", "lvw", "rcap", "rch", "rex", "ric", "rlh", "svb", "svh", "svi", "svmax", "svmin", "svw",
    ],
    // What is later than Chromium 92 or Firefox 102, and not in "ignore" above.
    "property-disallowed-list": [
      "/^(translate|rotate|scale)$/", "/^(accent-color|backdrop-filter|field-sizing|interpolate-size|zoom)$/",
      "/^(text-wrap|white-space-collapse|text-box|text-emphasis|text-spacing|text-autospace)/", "/^(container|anchor)/",
      "/^(position-(anchor|area|try)|inset-area|overlay|transition-behavior|content-visibility)/",
      "/^(animation-(composition|timeline|range)|scroll-timeline|view-timeline|timeline-scope|offset|math-)/",
      "/^(mask|contain-intrinsic|scrollbar-gutter|print-color-adjust|hyphenate|initial-letter|font-palette)/",
      "/^(object-view-box|overflow-clip-margin|masonry|reading-|ruby-|box-decoration-break|margin-trim|corner-)/",
    ],
    "declaration-property-value-disallowed-list": {
      "/^grid-template/": ["/subgrid|masonry/"],
      "/^(width|height|min-|max-|inline-size|block-size)/": ["/\\bstretch\\b/"],
      "/gradient|background/": ["/\\bin (oklab|oklch|srgb|hsl|lab|lch)/"],
      "/color|background|border|fill|stroke/": ["/\\bfrom /"],
    },
    "selector-pseudo-class-disallowed-list": [
      "active-view-transition", "autofill", "closed", "dir", "has", "has-slotted", "modal", "muted", "open", "paused",
      "picture-in-picture", "playing", "popover-open", "state", "user-invalid", "user-valid",
    ],
    "selector-pseudo-element-disallowed-list": [
      "checkmark", "details-content", "grammar-error", "highlight", "picker", "picker-icon", "scroll-button",
      "scroll-marker", "spelling-error", "target-text",
    ],
    "media-feature-range-notation": "prefix",
    "media-feature-name-disallowed-list": [
      "dynamic-range", "prefers-contrast", "prefers-reduced-data", "prefers-reduced-transparency", "scripting", "update",
      "overflow-block", "overflow-inline", "video-dynamic-range",
    ],
    "annotation-no-unknown": true,
    "at-rule-no-unknown": true,
    "block-no-empty": true,
    "color-no-invalid-hex": true,
    "custom-property-no-missing-var-function": true,
    "declaration-block-no-duplicate-custom-properties": true,
    "declaration-block-no-duplicate-properties": [true, { ignore: ["consecutive-duplicates-with-different-values"] }],
    "declaration-block-no-shorthand-property-overrides": true,
    "font-family-no-duplicate-names": true,
    "font-family-no-missing-generic-family-keyword": true,
    "function-calc-no-unspaced-operator": true,
    "function-no-unknown": true,
    "keyframe-block-no-duplicate-selectors": true,
    "keyframe-declaration-no-important": true,
    "media-feature-name-no-unknown": true,
    "named-grid-areas-no-invalid": true,
    "no-duplicate-at-import-rules": true,
    "no-duplicate-selectors": true,
    "no-invalid-double-slash-comments": true,
    "no-invalid-position-at-import-rule": true,
    "property-no-unknown": true,
    "selector-pseudo-class-no-unknown": true,
    "selector-pseudo-element-no-unknown": true,
    "selector-type-no-unknown": true,
    "string-no-newline": true,
    "unit-no-unknown": true,
  },
};
