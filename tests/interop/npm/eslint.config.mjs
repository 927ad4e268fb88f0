// Scripts of our own: mistakes, not taste, and what Chromium 92 or Firefox 102 do not have.
import js from "@eslint/js";
import globals from "globals";

const message = "later than Chromium 92 or Firefox 102";
const later = (object, ...names) => names.map((property) => ({ object, property, message }));
// Of whatever object: names that nothing of ours and nothing older has.
const anywhere = (...names) => names.map((property) => ({ property, message }));

export default [
  js.configs.recommended,
  {
    languageOptions: {
      ecmaVersion: 2021,
      sourceType: "module",
      globals: { ...globals.browser, htmx: "readonly", echarts: "readonly" },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "array-callback-return": "error",
      "eqeqeq": ["error", "always", { null: "ignore" }],
      "no-constructor-return": "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-promise-executor-return": "error",
      "no-self-compare": "error",
      "no-template-curly-in-string": "error",
      "no-unmodified-loop-condition": "error",
      "no-use-before-define": ["error", { functions: false }],
      "no-var": "error",
      "prefer-const": "error",
      "no-restricted-properties": [
        "error",
        { property: "innerHTML", message: "build nodes: text of others must not become markup" },
        { property: "outerHTML", message: "build nodes: text of others must not become markup" },
        ...later("AbortSignal", "any", "timeout"),
        ...later("Array", "fromAsync"),
        ...later("Object", "groupBy", "hasOwn"),
        ...later("Map", "groupBy"),
        ...later("Promise", "try", "withResolvers"),
        ...later("RegExp", "escape"),
        ...later("Response", "json"),
        ...later("URL", "canParse", "parse"),
        ...later("Intl", "DurationFormat", "Segmenter"),
        ...later("crypto", "randomUUID"),
        ...anywhere(
          "checkVisibility", "findLast", "findLastIndex", "hidePopover", "inert", "isWellFormed", "moveBefore",
          "popover", "requestClose", "setHTML", "setHTMLUnsafe", "showPicker", "showPopover", "startViewTransition",
          "streamToString", "throwIfAborted", "toReversed", "toSorted", "toSpliced", "togglePopover", "toWellFormed",
          "userActivation", "getSetCookie",
        ),
      ],
      "no-restricted-globals": [
        "error",
        ...["structuredClone", "CompressionStream", "DecompressionStream", "EyeDropper", "Iterator", "OffscreenCanvas",
          "Temporal", "URLPattern", "WeakRef", "cookieStore", "navigation", "reportError", "requestIdleCallback",
          "scheduler", "showOpenFilePicker", "showSaveFilePicker", "CloseWatcher", "ClipboardItem", "BarcodeDetector",
        ].map((name) => ({ name, message })),
      ],
      "no-restricted-syntax": [
        "error",
        // The button of a form is no argument of FormData before Chromium 112.
        { selector: "NewExpression[callee.name='FormData'][arguments.length>1]", message },
        { selector: "Literal[value=/^(scrollend|beforetoggle)$/]", message },
        { selector: "Literal[regex.flags=/v/]", message },
      ],
    },
  },
];
