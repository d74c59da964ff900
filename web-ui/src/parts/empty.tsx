import { useState } from "react";
import { api, asProblem } from "../api/client";
import { useSpeech } from "../i18n";
import { Logo } from "./logo";

const connect = (origin: string, token: string) => `TOKEN=${token}
curl -X POST ${origin}/api/accounts/master/IC_Markets_12345/register \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '{"platform":"MT5","broker":"IC Markets","server":"Live",
       "name":"My account","trade_allowed":true}'
curl -X POST ${origin}/api/heartbeats \\
  -H "Authorization: Bearer $TOKEN" \\
  -d '[{"role":"master","account":"IC_Markets_12345",
        "balance":"10000.00","equity":"10012.50","free_margin":"9500.00",
        "open_positions":2,"trade_allowed":true}]'`;

const MONTH_HOURS = 24 * 30;

export function EmptyAccounts({ past, mayMakeTokens }: { past: boolean; mayMakeTokens: boolean }) {
  const { t } = useSpeech();
  const [token, setToken] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  if (past) return <p className="empty-past">{t("empty.past")}</p>;
  const make = async () => {
    try {
      setToken((await api.createToken("first terminal", "operator", MONTH_HOURS)).token);
      setProblem(null);
    } catch (error) {
      setProblem(asProblem(error).detail || t("empty.token_failed"));
    }
  };
  return (
    <div className="empty">
      <Logo size={72} />
      <h3>{t("empty.title")}</h3>
      <p className="lead">{t("empty.lead")}</p>
      <ol>
        <li>
          <p>{t("empty.token")}</p>
          {token ? (
            <p className="hint">{t("empty.token_hint")}</p>
          ) : (
            <button type="button" className="button" disabled={!mayMakeTokens} onClick={make}>
              {t("empty.token_make")}
            </button>
          )}
          {problem && (
            <p className="hint" role="alert">
              {problem}
            </p>
          )}
        </li>
        <li>
          <p>{t("empty.post")}</p>
          <pre>
            <code>{connect(window.location.origin, token ?? "thk_…")}</code>
          </pre>
        </li>
      </ol>
    </div>
  );
}
