import { type FormEvent, useRef, useState } from "react";
import { ask, newKey } from "../api/client";
import type { EndpointView } from "../api/schema";
import { useSpeech } from "../i18n";
import { useReadOnly } from "../live/hooks";
import { go, hrefOf } from "../shell/router";
import { Dialog } from "../ui/dialog";
import { Field } from "../ui/field";
import { Failed } from "../ui/states";
import { useToast } from "../ui/toast";

/** Registers an endpoint, or changes one. What kind of server it is the desk finds out. */
export function EndpointDialog({ of, onClose }: { of?: EndpointView; onClose: () => void }) {
  const { t } = useSpeech();
  const toast = useToast();
  const readOnly = useReadOnly();
  const [name, setName] = useState(of?.name ?? "");
  const [url, setUrl] = useState(of?.base_url ?? "");
  const [secret, setSecret] = useState("");
  const [tags, setTags] = useState(of?.tags.join(", ") ?? "");
  const [weight, setWeight] = useState(String(of?.weight ?? 100));
  const [flying, setFlying] = useState(String(of?.in_flight_max ?? 0));
  const [notes, setNotes] = useState(of?.notes ?? "");
  const [tried, setTried] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const key = useRef(newKey());

  const run = async (act: () => Promise<void>) => {
    setBusy(true);
    setError(null);
    try {
      await act();
    } catch (failure) {
      setError(failure);
      key.current = newKey();
    } finally {
      setBusy(false);
    }
  };
  const test = () =>
    run(async () => {
      const body = { base_url: url.trim(), ...(secret ? { secret } : {}) };
      setTried(JSON.stringify(await ask("POST /api/endpoints/test", { body })));
    });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void run(async () => {
      const body = {
        name: name.trim(),
        base_url: url.trim(),
        tags: tags
          .split(",")
          .map((tag) => tag.trim())
          .filter(Boolean),
        weight: Number(weight),
        in_flight_max: Number(flying),
        notes,
        ...(secret ? { secret } : {}),
      };
      const saved = of
        ? await ask("PUT /api/endpoints/{id}", {
            path: { id: of.id },
            body: {
              ...body,
              kind: of.kind_set ?? null,
              capabilities: of.capabilities,
              health_interval_seconds: of.health_interval_seconds,
              probe_timeout_seconds: of.probe_timeout_seconds,
              inference_timeout_seconds: of.inference_timeout_seconds,
              success_threshold: of.success_threshold,
              failure_threshold: of.failure_threshold,
              version: of.version,
            },
            seen: of.version,
            key: key.current,
          })
        : await ask("POST /api/endpoints", { body, key: key.current });
      toast.good(t("endpoint.saved", { name: saved.name }));
      onClose();
      go(hrefOf(`/endpoints/${saved.id}`, { new: null }));
    });
  };
  return (
    <Dialog
      open
      wide
      onClose={onClose}
      title={t(of ? "endpoint.edit" : "first.endpoint_go")}
      lead={t("endpoint.lead")}
    >
      <form className="stack" onSubmit={submit}>
        <div className="pair">
          <Field
            label={t("endpoints.name")}
            required
            value={name}
            autoFocus
            onChange={(event) => setName(event.target.value)}
          />
          <Field
            label={t("endpoints.address")}
            required
            type="url"
            placeholder="http://192.0.2.7:11434"
            value={url}
            onChange={(event) => setUrl(event.target.value)}
          />
          <Field
            label={t("endpoint.secret")}
            hint={t(of?.has_secret ? "endpoint.secret_kept" : "endpoint.secret_hint")}
            type="password"
            autoComplete="off"
            value={secret}
            onChange={(event) => setSecret(event.target.value)}
          />
          <Field
            label={t("endpoint.tags")}
            value={tags}
            onChange={(event) => setTags(event.target.value)}
          />
          <Field
            label={t("endpoint.weight")}
            inputMode="numeric"
            value={weight}
            onChange={(event) => setWeight(event.target.value)}
          />
          <Field
            label={t("endpoint.in_flight_max")}
            hint={t("endpoint.zero")}
            inputMode="numeric"
            value={flying}
            onChange={(event) => setFlying(event.target.value)}
          />
        </div>
        <Field
          label={t("endpoint.notes")}
          value={notes}
          onChange={(event) => setNotes(event.target.value)}
        />
        {tried && (
          <pre>
            <code>{tried}</code>
          </pre>
        )}
        {error !== null && <Failed error={error} />}
        {readOnly && <p className="note">{t(`read_only.${readOnly}`)}</p>}
        <div className="stop-acts">
          {!of && (
            <button
              type="button"
              className="button"
              disabled={busy || !url}
              onClick={() => void test()}
            >
              {t("endpoint.try")}
            </button>
          )}
          <button type="submit" className="button primary" disabled={busy || readOnly !== null}>
            {t("action.save")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
