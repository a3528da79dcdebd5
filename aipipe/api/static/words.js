// Every word of the page in English and German.
import { stored, store } from "./dom.js";

const WORDS = {
  en: {
    runs: "Runs", start: "New run", compare: "Compare", skip: "Skip to content", dark: "Dark", light: "Light", other: "Deutsch",
    search: "Search texts, configs, tags", config: "Config", status: "Status", all: "all", more: "Show more", none: "No runs yet.",
    noneFit: "No run fits.", looking: "Still looking …", lookedAt: "Still looking … {n} % of {all} runs", total: "{n} runs", hits: "{n} of {all} runs", hitsAtLeast: "at least {n} of {all} runs", selected: "{n} selected", clear: "Clear",
    completed: "completed", running: "running", blocked: "blocked", failed: "failed", cancelled: "cancelled",
    interrupted: "interrupted", queued: "waiting", unknown: "unknown", back: "All runs", chain: "Prompt chain", media: "Media",
    details: "Details", metadata: "metadata.json", download: "Download ZIP", cancel: "Cancel", cancelling: "Asked to stop.",
    input: "Input", translation: "Translation", safety: "Safety of the input", interception: "Interception",
    interception_edit: "Edited by a person", interception_iteration: "Iteration {n}", safety_pre_output: "Safety of the prompt",
    error: "Error", input_image: "Input image", allowed: "allowed", refused: "blocked", notChecked: "not checked", changes: "Show changes",
    level: "Safety level", mode: "Mode", seed: "Seed", seconds: "Seconds", started: "Started", models: "Models", runId: "Run id",
    participant: "Participant", again: "Run again with changes", place: "Place {place} in line, about {minutes} min",
    chooseConfig: "Choose a config", text: "Text", run: "Start the run", seedHint: "empty: drawn by lot", context: "Context",
    editContext: "Edit the context", auto: "automatic", notFound: "This page does not exist.", lost: "The server does not answer. Trying again …",
    token: "This server wants a token. Open the link that aipipe serve shows.", compareHint: "Select two to four runs in the list.", enterCompares: "Enter compares them.",
    select: "Select for comparison", step: "Step", gone: "This run is no longer there.", noMedia: "No media were planned.",
    moreFilters: "More filters", clearFilters: "Clear these filters", tag: "Tag", study: "Study", since: "From", until: "To",
    outputs: "Outputs", outputsHint: "None chosen: what the config makes by itself.", step_pipeline_starting: "starting", step_translation_and_safety: "translating and checking", step_interception: "rewriting",
    step_pre_output_safety: "checking the prompt", step_media_generation: "making the media", step_complete: "done",
    step_translation: "translating", step_safety: "checking", step_safety_pre_output: "checking the prompt", step_media: "making the media",
    step_image_safety: "checking the picture", verdicts: "Verdicts", working: "At work", star: "starred", reason: "Reason", advanced: "More settings", same: "same text", prompt: "Prompt",
    stopped: "This text was stopped at safety level {level}. {explanation} Change that part and try again.",
    unchecked: "The text could not be checked, and unchecked texts do not go on. {error}", pictureUnchecked: "The picture could not be checked: {error}",
    pictureScored: "The image check scores {score}; from {threshold} on a picture is blocked.", pictureStopped: "The vision model stopped the picture at level {level}: {why}.",
    noPictureCheck: "Install the image check: {how}", patternOnly: "a pattern from the prompt's hash shows nothing",
    cancelledBefore: "The run was cancelled before it began.", wasCancelled: "The run was cancelled.", missingOutputs: "Expected outputs are missing: {names}.",
  },
  de: {
    runs: "Läufe", start: "Neuer Lauf", compare: "Vergleichen", skip: "Zum Inhalt", dark: "Dunkel", light: "Hell", other: "English",
    search: "Texte, Configs, Tags durchsuchen", config: "Config", status: "Status", all: "alle", more: "Mehr zeigen", none: "Noch keine Läufe.",
    noneFit: "Kein Lauf passt.", looking: "Suche läuft …", lookedAt: "Suche läuft … {n} % von {all} Läufen", total: "{n} Läufe", hits: "{n} von {all} Läufen", hitsAtLeast: "mindestens {n} von {all} Läufen", selected: "{n} ausgewählt", clear: "Aufheben",
    completed: "fertig", running: "läuft", blocked: "gesperrt", failed: "gescheitert", cancelled: "abgebrochen",
    interrupted: "unterbrochen", queued: "wartet", unknown: "unbekannt", back: "Alle Läufe", chain: "Prompt-Kette", media: "Medien",
    details: "Einzelheiten", metadata: "metadata.json", download: "ZIP herunterladen", cancel: "Abbrechen", cancelling: "Abbruch erbeten.",
    input: "Eingabe", translation: "Übersetzung", safety: "Prüfung der Eingabe", interception: "Interception",
    interception_edit: "Von einem Menschen geändert", interception_iteration: "Iteration {n}", safety_pre_output: "Prüfung des Prompts",
    error: "Fehler", input_image: "Eingabebild", allowed: "erlaubt", refused: "gesperrt", notChecked: "nicht geprüft", changes: "Änderungen zeigen",
    level: "Schutzstufe", mode: "Modus", seed: "Seed", seconds: "Sekunden", started: "Begonnen", models: "Modelle", runId: "Lauf-ID",
    participant: "Person", again: "Mit Änderungen wiederholen", place: "Platz {place} in der Schlange, etwa {minutes} min",
    chooseConfig: "Config wählen", text: "Text", run: "Lauf starten", seedHint: "leer: wird gelost", context: "Kontext",
    editContext: "Kontext ändern", auto: "automatisch", notFound: "Diese Seite gibt es nicht.", lost: "Der Server antwortet nicht. Neuer Versuch …",
    token: "Dieser Server verlangt ein Token. Öffne den Link, den aipipe serve zeigt.", compareHint: "Wähle in der Liste zwei bis vier Läufe aus.", enterCompares: "Die Eingabetaste vergleicht sie.",
    select: "Zum Vergleich auswählen", step: "Schritt", gone: "Diesen Lauf gibt es nicht mehr.", noMedia: "Es waren keine Medien geplant.",
    moreFilters: "Weitere Filter", clearFilters: "Diese Filter aufheben", tag: "Tag", study: "Studie", since: "Von", until: "Bis",
    outputs: "Ausgaben", outputsHint: "Keine gewählt: was die Config von sich aus macht.", step_pipeline_starting: "beginnt", step_translation_and_safety: "übersetzt und prüft", step_interception: "schreibt um",
    step_pre_output_safety: "prüft den Prompt", step_media_generation: "erzeugt die Medien", step_complete: "fertig",
    step_translation: "übersetzt", step_safety: "prüft", step_safety_pre_output: "prüft den Prompt", step_media: "erzeugt die Medien",
    step_image_safety: "prüft das Bild",
    error_QueueFull: "Die Warteschlange ist voll.", error_Stopping: "Der Server wird gerade beendet.", error_TooFast: "Zu viele Anfragen auf einmal.",
    error_NotAllowed: "Das erlaubt dieser Server nicht.", error_InvalidInput: "Die Eingabe passt nicht.", error_UnknownName: "Diesen Namen gibt es hier nicht.",
    error_RunNotFound: "Diesen Lauf gibt es nicht.", error_EntityNotFound: "Das gibt es in diesem Lauf nicht.", error_RunFinished: "Dieser Lauf ist schon zu Ende.",
    error_Unavailable: "Ein Dienst, den der Lauf braucht, antwortet nicht.", error_Overloaded: "Der Server ist ausgelastet.",
    verdicts: "Prüfungen", working: "In Arbeit", star: "markiert", reason: "Grund", advanced: "Weitere Einstellungen", same: "gleicher Text", prompt: "Prompt",
    stopped: "Dieser Text wurde auf der Schutzstufe {level} angehalten. {explanation} Ändere diese Stelle und versuche es noch einmal.",
    unchecked: "Der Text konnte nicht geprüft werden, und ungeprüfte Texte gehen nicht weiter. {error}", pictureUnchecked: "Das Bild konnte nicht geprüft werden: {error}",
    pictureScored: "Die Bildprüfung ergibt {score}; ab {threshold} wird ein Bild gesperrt.", pictureStopped: "Das Bildmodell hat das Bild auf der Schutzstufe {level} angehalten: {why}.",
    noPictureCheck: "Die Bildprüfung ist nicht installiert: {how}", patternOnly: "ein Muster aus der Prüfsumme des Prompts zeigt nichts",
    cancelledBefore: "Der Lauf wurde abgebrochen, bevor er begann.", wasCancelled: "Der Lauf wurde abgebrochen.", missingOutputs: "Erwartete Ausgaben fehlen: {names}.",
    method_model: "Modell", method_guard_model: "Wächter-Modell", method_terms: "Begriffe", method_terms_only_echo_: "nur Begriffe (echo)", method_disabled: "ausgeschaltet", method_failed: "gescheitert",
    hint_QueueFull: "Versuche es in etwa {minutes} Minuten noch einmal.", hint_TooFast: "Warte einen Moment.", hint_Stopping: "Versuche es in einer Minute noch einmal.",
    hint_NotAllowed: "Wähle etwas anderes oder frage, wer diesen Server betreibt.",
  },
};

export let language = stored("aipipe.language", (navigator.language || "en").startsWith("de") ? "de" : "en");

export function switchLanguage() {
  language = language === "de" ? "en" : "de";
  store("aipipe.language", language);
}

export function t(word, values = {}) {
  const text = WORDS[language][word] ?? WORDS.en[word] ?? word;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** The name of a step in the page's language; a step of somebody's own stays as it is called. */
export const stepWord = (step) => { const word = t(`step_${step}`); return word === `step_${step}` ? String(step).replaceAll("_", " ") : word; };

/** What went wrong: in German with the server's own sentence behind it, which names what it is about. */
export function told(error) {
  const key = `error_${error.body?.type}`, word = language === "en" ? key : t(key);
  return word === key ? error.message : `${word} (${error.message})`;
}

/** What to do next: in German where the kind of error has words for it, else the server's own. */
export function hinted(error) {
  const key = `hint_${error.body?.type}`, minutes = Math.max(1, Math.round(error.body?.minutes ?? 1));
  const word = language === "en" ? key : t(key, { minutes: number(minutes) });
  return word === key ? error.hint : word;
}

export const localized = (texts) => texts?.[language] || texts?.en || Object.values(texts ?? {})[0] || "";

export function when(timestamp) {
  const date = new Date(timestamp);
  return Number.isNaN(date.valueOf()) ? timestamp : date.toLocaleString(language, { dateStyle: "medium", timeStyle: "short" });
}

export const number = (value, digits = 0) => Number(value).toLocaleString(language, { maximumFractionDigits: digits });
