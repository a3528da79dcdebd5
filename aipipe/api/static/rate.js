// The rating page behind a link: items come one by one, every answer goes to the server at once.
import rating from "./rating.js";

rating.mountServed(document.getElementById("rating"), location.pathname.replace(/\/$/, ""));
