import { useState } from "react";
import { ask } from "../api/client";
import { useSpeech } from "../i18n";
import { useReadOnly } from "../live/hooks";
import { Link } from "../shell/link";
import { Logo } from "../ui/logo";
import { useToast } from "../ui/toast";

const connect = (origin: string, token: string) => `TOKEN=${token}
curl -X POST ${origin}/api/accounts/master/IC_Markets_12345/register \\
  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
  -d '{"platform":"MT5","broker":"IC Markets","server":"Live",
       "name":"My account","trade_allowed":true}'
curl -X POST ${origin}/api/heartbeats \\
  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
  -d '[{"role":"master","account":"IC_Markets_12345",
        "balance":"10000.00","equity":"10012.50","free_margin":"9500.00",
        "open_positions":2,"trade_allowed":true}]'`;

const MONTH_HOURS = 24 * 30;

/** What to do with a desk that nothing is connected to yet. */
export function FirstSteps() {
  const { t } = useSpeech();
  const readOnly = useReadOnly("admin");
  const toast = useToast();
  const [token, setToken] = useState<string | null>(null);
  const make = async () => {
    try {
      const made = await ask("POST /api/tokens", {
        body: { name: "first terminal", role: "operator", hours: MONTH_HOURS },
      });
      setToken(made.token);
    } catch (error) {
      toast.bad(error);
    }
  };
  return (
    <section className="first">
      <Logo size={72} />
      <h1>{t("first.title")}</h1>
      <p className="lead">{t("first.lead")}</p>
      <ol className="first-steps">
        <li>
          <h2>{t("first.pair")}</h2>
          <p>{t("first.pair_text")}</p>
          <Link to="/settings" query={{ tab: "terminals" }} className="button primary">
            {t("first.pair_go")}
          </Link>
        </li>
        <li>
          <h2>{t("first.endpoint")}</h2>
          <p>{t("first.endpoint_text")}</p>
          <Link to="/endpoints" query={{ new: "endpoint" }} className="button">
            {t("first.endpoint_go")}
          </Link>
        </li>
        <li>
          <h2>{t("first.try")}</h2>
          <p>{t("first.try_text")}</p>
          <button
            type="button"
            className="button"
            disabled={readOnly !== null || token !== null}
            onClick={() => void make()}
          >
            {t("first.make")}
          </button>
          {token && <p className="hint">{t("first.made")}</p>}
          <pre>
            <code>{connect(window.location.origin, token ?? "thk_…")}</code>
          </pre>
        </li>
      </ol>
    </section>
  );
}
