import { type Language, useSpeech } from "../i18n";

const LANGUAGES: readonly [Language, string][] = [
  ["en", "EN"],
  ["ja", "日本語"],
];

export function Languages() {
  const { language, setLanguage, t } = useSpeech();
  return (
    <fieldset className="languages">
      <legend className="hidden">{t("app.language")}</legend>
      {LANGUAGES.map(([code, name]) => (
        <button
          key={code}
          type="button"
          lang={code}
          aria-pressed={language === code}
          onClick={() => setLanguage(code)}
        >
          {name}
        </button>
      ))}
    </fieldset>
  );
}
