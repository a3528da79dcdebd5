// The server's answers; a refusal becomes an error with its message and hint.

export class Refusal extends Error {
  constructor(status, body) {
    super(body.error || `HTTP ${status}`);
    this.status = status;
    this.hint = body.hint || "";
    this.body = body;
  }
}

export async function get(path, parameters = {}, signal) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, v]) => v !== "" && v !== null && v !== undefined));
  const tail = query.size ? `?${query}` : "";
  return answer(await fetch(path + tail, { signal, headers: { accept: "application/json" } }));
}

export async function post(path, body = {}) {
  return answer(await fetch(path, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
  }));
}

async function answer(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(response.status, body);
  return body;
}

export const runPath = (id) => `/api/pipeline/${encodeURIComponent(id)}`;

export async function entityText(entity, limit = 200000) {
  const response = await fetch(entity.url, { headers: { range: `bytes=0-${limit}` } });
  return response.ok ? response.text() : "";
}
