/** Asks for a token of [console.tokens]. It is kept in this tab only. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { Failure, Field } from './parts.js';

export function Login(props: {
  readonly message: string | undefined;
  readonly onToken: (token: string) => void;
}) {
  const [text, setText] = useState('');
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  return (
    <main class="alone">
      <form
        class="panel login"
        onSubmit={(event) => {
          event.preventDefault();
          const given = text.trim();
          setText('');
          if (given !== '') props.onToken(given);
        }}
      >
        <h1>st-mqttd</h1>
        <p>This console asks for a token. It stays in this tab, and is gone when you close it.</p>
        <Failure>{props.message}</Failure>
        <Field label="Token">
          <input
            ref={input}
            type="password"
            name="token"
            autocomplete="current-password"
            spellcheck={false}
            value={text}
            onInput={({ currentTarget }) => setText(currentTarget.value)}
          />
        </Field>
        <button type="submit" class="primary">
          Log in
        </button>
      </form>
    </main>
  );
}
