import { render } from "preact";
import { Connection } from "./connection.js";
import { NoAccessError, Session } from "./session.js";
import { Store } from "./store.js";
import { App, NoAccess } from "./views/app.js";
import "./style.css";

const root = document.getElementById("app")!;

async function main(): Promise<void> {
  const session = await Session.start();
  let isScheduled = false;
  const store = new Store(() => {
    if (isScheduled) return;
    isScheduled = true;
    requestAnimationFrame(() => {
      isScheduled = false;
      draw();
    });
  });
  const connection = new Connection(session, store);
  const draw = (): void => {
    const { status } = store.connection;
    const isRefused = status === "refused";
    document.title = status === "connected" ? "Tachikoma" : "Not connected – Tachikoma";
    render(isRefused ? <NoAccess /> : <App store={store} connection={connection} />, root);
  };
  draw();
  await connection.start();
}

main().catch((error: unknown) => {
  if (!(error instanceof NoAccessError)) throw error;
  render(<NoAccess />, root);
});
