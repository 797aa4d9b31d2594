/** The frame: who is logged in, where we are, whether the broker answers. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, request, setToken, token, whenUnauthorized } from './api.js';
import { ClientPage } from './client.js';
import { ClientsPage } from './clients.js';
import { ConfigPage } from './config.js';
import { duration } from './format.js';
import { applyTheme, storedTheme, type Theme, useLive, useRoute } from './hooks.js';
import { connect, disconnect } from './live.js';
import { LogPage } from './log.js';
import { Login } from './login.js';
import { MessagesPage } from './messages.js';
import { OverviewPage } from './overview.js';
import { TopicsPage } from './topics.js';

const places = [
  { path: 'overview', title: 'Overview' },
  { path: 'clients', title: 'Clients' },
  { path: 'topics', title: 'Topics' },
  { path: 'messages', title: 'Messages' },
  { path: 'log', title: 'Log' },
  { path: 'config', title: 'Configuration', short: 'Config' },
] as const;

type Gate =
  | { readonly is: 'asking' }
  | { readonly is: 'login'; readonly message: string | undefined }
  | { readonly is: 'open' }
  | { readonly is: 'unreachable'; readonly message: string };

export function App() {
  const [gate, setGate] = useState<Gate>({ is: 'asking' });
  const enter = useCallback(async () => {
    try {
      await request('api/v1/brokers');
      setGate({ is: 'open' });
      connect();
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return;
      const message = error instanceof Error ? error.message : String(error);
      setGate({ is: 'unreachable', message });
    }
  }, []);
  useEffect(() => {
    whenUnauthorized((message) => {
      disconnect();
      const hadToken = token() !== undefined;
      setToken(undefined);
      setGate({ is: 'login', message: hadToken ? message : undefined });
    });
    void enter();
  }, [enter]);
  switch (gate.is) {
    case 'asking':
      return (
        <p class="alone" aria-busy="true">
          …
        </p>
      );
    case 'unreachable':
      return (
        <main class="alone">
          <h1>st-mqttd</h1>
          <p role="alert">{gate.message}</p>
          <button type="button" onClick={() => void enter()}>
            Try again
          </button>
        </main>
      );
    case 'login':
      return (
        <Login
          message={gate.message}
          onToken={(given) => {
            setToken(given);
            void enter();
          }}
        />
      );
    case 'open':
      return (
        <Frame
          onLeave={() => {
            disconnect();
            setToken(undefined);
            setGate({ is: 'login', message: undefined });
          }}
        />
      );
  }
}

function Frame({ onLeave }: { onLeave: () => void }) {
  const route = useRoute();
  const [first = '', id, which = ''] = route;
  const instance = /^\d+$/.test(which) ? Number(which) : 0;
  const here = places.find(({ path }) => path === first) ?? places[0];
  const main = useRef<HTMLElement>(null);
  const title = id === undefined ? here.title : `${id} · ${here.title}`;
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = `${title} · st-mqttd`;
    // Who came by a link starts reading at the new page's heading; at the first one, at the top.
    if (!isFirst.current) main.current?.querySelector('h1')?.focus();
    isFirst.current = false;
  }, [title]);
  return (
    <div class="frame">
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <Head onLeave={onLeave} />
      <nav aria-label="Pages">
        <ul>
          {places.map((place) => (
            <li key={place.path}>
              <a
                href={`#/${place.path}`}
                {...(place === here ? { 'aria-current': 'page' as const } : {})}
              >
                {'short' in place ? place.short : place.title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <main id="main" ref={main} tabIndex={-1}>
        <Place path={here.path} id={id} instance={instance} />
      </main>
    </div>
  );
}

interface PlaceProps {
  readonly path: (typeof places)[number]['path'];
  readonly id: string | undefined;
  readonly instance: number;
}

function Place({ path, id, instance }: PlaceProps) {
  switch (path) {
    case 'overview':
      return <OverviewPage />;
    case 'clients':
      if (id === undefined) return <ClientsPage />;
      return <ClientPage key={`${instance} ${id}`} id={id} instance={instance} />;
    case 'topics':
      return <TopicsPage />;
    case 'messages':
      return <MessagesPage />;
    case 'log':
      return <LogPage />;
    case 'config':
      return <ConfigPage />;
  }
}

const states = { open: 'live', connecting: 'connecting', lost: 'no connection' } as const;

function Head({ onLeave }: { onLeave: () => void }) {
  const { state, hello } = useLive();
  const [theme, setTheme] = useState(storedTheme);
  const choose = (chosen: Theme) => {
    applyTheme(chosen);
    setTheme(chosen);
  };
  return (
    <header class="head">
      <span class="brand">
        <img src="./favicon.svg" alt="" width="20" height="20" />
        st-mqttd
      </span>
      {hello !== undefined && (
        <span class="about">
          {hello.broker.version} · node {hello.broker.id} · up{' '}
          {duration(Date.now() - hello.broker.startedAt)}
        </span>
      )}
      <span class={`state ${state}`} role="status">
        {states[state]}
      </span>
      <span class="grow" />
      {hello !== undefined && (
        <span class="who" title="Who this page acts as, and the role">
          {hello.caller.name}
          {hello.caller.name !== hello.caller.role && ` (${hello.caller.role})`}
        </span>
      )}
      <select
        aria-label="Colours"
        value={theme}
        onChange={({ currentTarget }) => choose(currentTarget.value as Theme)}
      >
        <option value="auto">Auto</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
      {token() !== undefined && (
        <button type="button" onClick={onLeave}>
          Log out
        </button>
      )}
    </header>
  );
}
