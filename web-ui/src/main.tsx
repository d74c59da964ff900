import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import { Speaking } from "./i18n";
import "./style.css";
import { applyPrefs } from "./util/prefs";

applyPrefs();
const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Speaking>
        <App />
      </Speaking>
    </StrictMode>,
  );
}
