// What aipipe says of a check, in the page's language: recorded sentences are in the language of the server's settings.
// Codes are recorded with explanations in both; the sentences around them are known by their wording.
import { language, localized, t } from "./words.js";

const SENTENCES = [ // as aipipe composes them (aipipe/data/terms/policy.json, image_safety, recorder, api), in English and German
  ["unchecked", /^(?:The text could not be checked, and unchecked texts do not go on\.|Der Text konnte nicht geprüft werden, und ungeprüfte Texte gehen nicht weiter\.) ?(?<error>[^]*)$/],
  ["pictureUnchecked", /^The picture could not be checked: (?<error>[^]*)$/],
  ["pictureScored", /^The image check scores (?<score>[\d.]+); from (?<threshold>[\d.]+) on a picture is blocked\.$/],
  ["pictureStopped", /^The vision model stopped the picture at level (?<level>\w+): (?<why>[^]*)\.$/],
  ["noPictureCheck", /^Install the image check: (?<how>.*)$/],
  ["patternOnly", /^a pattern from the prompt's hash shows nothing$/],
  ["cancelledBefore", /^The run was cancelled before it began\.$/],
  ["wasCancelled", /^(?:cancelled|The run was cancelled\.)$/],
  ["missingOutputs", /^Expected outputs are missing: (?<names>.*)\.$/],
];
const STOPPED = /This text was stopped at safety level (\w+)\. ([^]*?) Change that part and try again\.|Dieser Text wurde auf der Schutzstufe (\w+) angehalten\. ([^]*?) Ändere diese Stelle und versuche es noch einmal\./;
const PREFIX = /^(Context|Prompt): /;

const explained = (codes) => (codes ?? []).map((c) => localized(c?.explanation)).filter(Boolean).join(" ");

/** A sentence that aipipe recorded, in the page's language; what it does not know stays as it is. */
export function said(message, codes = []) {
  const text = String(message ?? ""), prefix = PREFIX.exec(text);
  if (prefix) return `${t(prefix[1] === "Context" ? "context" : "prompt")}: ${said(text.slice(prefix[0].length), codes)}`;
  const stopped = STOPPED.exec(text);
  if (stopped) return text.replace(STOPPED, () => t("stopped", { level: stopped[1] ?? stopped[3], explanation: explained(codes) || stopped[2] || stopped[4] }));
  for (const [word, pattern] of SENTENCES) {
    const found = pattern.exec(text);
    if (found) return t(word, found.groups).trim();
  }
  return text;
}

/** The sentence of a verdict: recorded in full since it was made, or composed of its codes. */
export const verdictSaid = (verdict) => said(verdict.message, verdict.codes);

/** How a check was made. */
export const methodWord = (method) => {
  const word = `method_${String(method ?? "").replace(/[^a-z]+/g, "_")}`, found = t(word);
  return language === "en" || found === word ? method : found;
};
