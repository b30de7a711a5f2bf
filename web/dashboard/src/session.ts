// How the page proves to the process that serves it that whoever opened it was given its address.
//
// The address has a secret in its fragment, which is exchanged for a key, once. The key is kept for
// this tab and this origin: the page can be loaded again, and no other page can read it.

const KEY = "tachikoma.key";
const SUBPROTOCOL = "tachikoma.dashboard";

/** What the process that serves the page says of the server. */
export interface About {
  readonly server: string;
  readonly topics: readonly string[];
  /** Why the server could not be connected to, if it could not the last time. */
  readonly failure: string | null;
}

/** The page has no key, or an old one: its address has to be opened anew. */
export class NoAccessError extends Error {}

export class Session {
  readonly #key: string;

  private constructor(key: string) {
    this.#key = key;
  }

  /** Exchanges the secret in the address, or takes up the key of an earlier load. */
  static async start(): Promise<Session> {
    const secret = /^#([\w-]{43})$/.exec(location.hash)?.[1];
    if (secret !== undefined) {
      history.replaceState(null, "", location.pathname);
      const answer = await get("session", secret);
      if (answer.ok) sessionStorage.setItem(KEY, ((await answer.json()) as { key: string }).key);
      else sessionStorage.removeItem(KEY);
    }
    const key = sessionStorage.getItem(KEY);
    if (key === null) throw new NoAccessError();
    return new Session(key);
  }

  /** Asks what there is to know of the server. */
  async about(): Promise<About> {
    const answer = await get("about", this.#key);
    if (answer.status === 401) throw new NoAccessError();
    if (!answer.ok) throw new Error(`the page's own server answered ${answer.status}`);
    return (await answer.json()) as About;
  }

  /** The class of a WebSocket that shows the key. */
  get WebSocket(): new (url: string) => WebSocket {
    const protocols = [SUBPROTOCOL, this.#key];
    return class extends WebSocket {
      constructor(url: string) {
        super(url, protocols);
      }
    };
  }
}

function get(path: string, secret: string): Promise<Response> {
  return fetch(path, { cache: "no-store", headers: { Authorization: `Bearer ${secret}` } });
}
