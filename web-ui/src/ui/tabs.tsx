import * as Radix from "@radix-ui/react-tabs";
import type { ReactNode } from "react";
import { setQuery, useRoute } from "../shell/router";

interface Tab {
  id: string;
  title: string;
  content: () => ReactNode;
}

/** Tabs whose choice stands in the address. */
export function Tabs({
  label,
  tabs,
  name = "tab",
}: {
  label: string;
  tabs: readonly Tab[];
  name?: string;
}) {
  const { query } = useRoute();
  const first = tabs[0]?.id ?? "";
  const wanted = query.get(name) ?? first;
  const active = tabs.find((tab) => tab.id === wanted) ?? tabs[0];
  if (!active) return null;
  return (
    <Radix.Root
      value={active.id}
      onValueChange={(id) => setQuery({ [name]: id === first ? null : id })}
      activationMode="automatic"
    >
      <Radix.List className="tabs" aria-label={label}>
        {tabs.map((tab) => (
          <Radix.Trigger key={tab.id} value={tab.id} className="tab">
            {tab.title}
          </Radix.Trigger>
        ))}
      </Radix.List>
      <Radix.Content value={active.id} className="tab-content" tabIndex={-1}>
        {active.content()}
      </Radix.Content>
    </Radix.Root>
  );
}
