import type { ReactNode } from "react";
import { asProblem } from "../api/client";
import { useSpeech } from "../i18n";
import { Icon, type IconName } from "./icons";

/** The shape of what is coming, so that nothing jumps when it is there. */
export function Skeleton({ rows = 4, height = 36 }: { rows?: number; height?: number }) {
  const { t } = useSpeech();
  return (
    <div className="skeleton" role="status">
      <span className="hidden">{t("state.loading")}</span>
      {Array.from({ length: rows }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all the same
        <div key={index} className="bone" style={{ height }} />
      ))}
    </div>
  );
}

/** Nothing is here, and what to do about it. */
export function Empty(props: { icon?: IconName; title: string; children?: ReactNode }) {
  return (
    <div className="nothing">
      {props.icon && <Icon name={props.icon} size={28} />}
      <p className="nothing-title">{props.title}</p>
      {props.children && <div className="nothing-text">{props.children}</div>}
    </div>
  );
}

/** What happened, what to try, and a way to try it. */
export function Failed({ error, retry }: { error: unknown; retry?: () => void }) {
  const speech = useSpeech();
  const problem = asProblem(error);
  return (
    <div className="failed" role="alert">
      <Icon name="warn" size={22} />
      <div>
        <p className="failed-what">{speech.problem(problem)}</p>
        <p className="hint">
          {speech.advice(problem)} <code>{problem.code}</code>
        </p>
      </div>
      {retry && (
        <button type="button" className="button" onClick={retry}>
          {speech.t("state.retry")}
        </button>
      )}
    </div>
  );
}
