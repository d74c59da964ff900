import { useSpeech } from "../i18n";
import { Logo } from "./logo";

const REGISTER = (origin: string) => `curl -X POST ${origin}/api/ea/v1/session \\
  -H 'Content-Type: application/json' \\
  -d '{"v":1,"account":"IC_Markets_12345","role":"master",
       "epoch":0,"seq":1,"sent_at":0,"kind":"register",
       "body":{"account_number":12345,"broker":"IC Markets"}}'`;

export function EmptyAccounts({ past }: { past: boolean }) {
  const { t } = useSpeech();
  if (past) return <p className="empty-past">{t("empty.past")}</p>;
  return (
    <div className="empty">
      <Logo size={72} />
      <h3>{t("empty.title")}</h3>
      <p className="lead">{t("empty.lead")}</p>
      <ol>
        <li>
          <p>{t("empty.demo")}</p>
          <pre>
            <code>tidehelm demo</code>
          </pre>
        </li>
        <li>
          <p>{t("empty.post")}</p>
          <pre>
            <code>{REGISTER(window.location.origin)}</code>
          </pre>
          <p className="hint">{t("empty.post_hint")}</p>
        </li>
      </ol>
    </div>
  );
}
