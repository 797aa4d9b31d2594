/** rmqttd's plugin rmqtt-auth-http as a provider of ours: who comes in; not what he may do there. */
import { fieldRow } from './auth-options.js';
import type { Draft } from './import-draft.js';
import { durationOf } from './import-rmqtt-units.js';
import { checkValue } from './rows.js';
import { placeholderOnly } from './shown.js';
import { isTable, type Layer, quoteKey } from './tree.js';

type Table = Readonly<Record<string, unknown>>;

/** Of requests: the same whoever writes them, or set by what sends them. */
const kOwnHeaders = /^(content-type|content-length|connection|host|transfer-encoding)$/i;
const kSecretHeader = /auth|token|secret|cookie|key|passw/i;

export function authHttp(draft: Draft, root: Table, layer: Layer): void {
  const at = (path: readonly string[]) => `${layer.locate(path)} ${path.join('.')}`;
  const ask = requestOf(root.http_auth_req);
  if (ask.url === '') {
    draft.unhandled(`${layer.name}: http_auth_req has no url`);
    return;
  }
  const path = draft.element(['auth', 'providers']);
  draft.set(path, 'kind', 'http', `${layer.name}: plugin rmqtt-auth-http`);
  setUrl(draft, path, ask.url, at(['http_auth_req']));
  if (ask.method !== 'post') {
    draft.unhandled(`${at(['http_auth_req', 'method'])} = ${ask.method}: it is asked by POST here`);
  }
  const headers = { ...tableOf(root.http_headers), ...ask.headers };
  const type = Object.entries(headers).find(([name]) => /^content-type$/i.test(name))?.[1];
  const isJson = /json/i.test(String(type));
  draft.set(path, 'format', isJson ? 'json' : 'form', at(['http_auth_req', 'headers']));
  const timeoutS = durationOf(String(root.http_timeout ?? '5s'));
  if (timeoutS !== undefined) {
    draft.set(path, 'timeout_ms', Math.round(timeoutS * 1000), at(['http_timeout']));
  }
  draft.set(path, 'cache_ttl_s', 0, 'there each login is asked about');
  draft.set(path, 'negative_ttl_s', 0, 'there each login is asked about');
  if (root.deny_if_error === false) {
    draft.note(
      path,
      `${at(['deny_if_error'])} is false: here who cannot be asked about is refused`,
    );
  }
  draft.note(
    path,
    'an answer with superuser is refused here: give it rules (docs/AUTHENTICATION.md)',
  );
  for (const [name, value] of Object.entries(headers)) {
    if (kOwnHeaders.test(name)) continue;
    if (kSecretHeader.test(name)) {
      draft.unhandled(
        `${layer.name}: the header ${name} (not copied): give it in [auth.providers.headers], best as "file:PATH"`,
      );
    } else {
      draft.set([...path, 'headers'], quoteKey(name), String(value), layer.name);
    }
  }
  for (const [name, value] of Object.entries(ask.params)) {
    const place = at(['http_auth_req', 'params', name]);
    if (kSecretHeader.test(name) && !/^%[a-zA-Z]$/.test(String(value))) {
      draft.unhandled(
        `${place} (not copied): give it in [auth.providers.fields], best as "file:PATH"`,
      );
      continue;
    }
    if (checkValue(fieldRow, value, false) === 'refused') {
      draft.unhandled(
        `${place} = ${JSON.stringify(placeholderOnly(String(value)))}: no counterpart`,
      );
      continue;
    }
    const note = String(value).includes('%r') ? '; %r is "3.1", "3.1.1" or "5.0" here' : '';
    draft.set([...path, 'fields'], quoteKey(name), value, `${place}${note}`);
  }
  if (requestOf(root.http_acl_req).url !== '') {
    const why =
      'each publish and subscription is asked about there; here the answer to the login may have rules, and [[acl.rules]] are about all';
    draft.unhandled(`${at(['http_acl_req'])}: ${why}`);
  }
}

/** A password in a URL is no header: it is not copied. */
function setUrl(draft: Draft, path: readonly string[], text: string, from: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && !holdsSecret(url)) {
    draft.set(path, 'url', text, from);
    return;
  }
  draft.unhandled(
    `${from}: its url (not copied) is none, or has a user, a password or a key in it`,
  );
}

/** Of a query, by its names. */
export const holdsSecret = ({ username, password, searchParams }: URL) =>
  username + password !== '' || [...searchParams.keys()].some((name) => kSecretHeader.test(name));

interface Request {
  readonly url: string;
  readonly method: string;
  readonly headers: Table;
  readonly params: Table;
}

/** A table, or its URL alone. */
function requestOf(value: unknown): Request {
  const table = typeof value === 'string' ? { url: value } : tableOf(value);
  const { url, method, headers, params } = table as Table;
  return {
    url: typeof url === 'string' ? url : '',
    method: typeof method === 'string' ? method.toLowerCase() : 'post',
    headers: tableOf(headers),
    params: tableOf(params),
  };
}

const tableOf = (value: unknown): Table => (isTable(value) ? value : {});
