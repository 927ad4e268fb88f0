// What every page has. A page that needs more loads a module of its own; all of it works without, but for what refreshes.
import "./nav.js";
import "./palette.js";
import "./forms.js";
import "./rows.js";
import "./live.js";
import "./toast.js";
