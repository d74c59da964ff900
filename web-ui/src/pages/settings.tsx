import { useSpeech } from "../i18n";
import { Alerts } from "../settings/alerts";
import { About, Configuration, Defaults, DeskSettings } from "../settings/desk";
import { Keys, Terminals } from "../settings/keys";
import { People } from "../settings/people";
import { Head } from "../ui/bits";
import { Tabs } from "../ui/tabs";

export default function SettingsPage() {
  const { t } = useSpeech();
  return (
    <div className="page">
      <Head title={t("nav.settings")} />
      <Tabs
        label={t("nav.settings")}
        tabs={[
          { id: "desk", title: t("settings.desk"), content: () => <DeskSettings /> },
          { id: "people", title: t("settings.people"), content: () => <People /> },
          { id: "terminals", title: t("settings.terminals"), content: () => <Terminals /> },
          { id: "keys", title: t("settings.keys"), content: () => <Keys /> },
          { id: "alerts", title: t("settings.alerts"), content: () => <Alerts /> },
          { id: "copying", title: t("settings.copying"), content: () => <Defaults /> },
          { id: "server", title: t("settings.server"), content: () => <Configuration /> },
          { id: "about", title: t("settings.about"), content: () => <About /> },
        ]}
      />
    </div>
  );
}
