import * as Radix from "@radix-ui/react-dropdown-menu";
import type { ReactNode } from "react";

/** Not modal: a modal menu writes a `<style>` into the page, which the desk forbids. */
export function Menu(props: { trigger: ReactNode; label: string; children: ReactNode }) {
  return (
    <Radix.Root modal={false}>
      <Radix.Trigger asChild>{props.trigger}</Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          className="menu"
          align="end"
          sideOffset={6}
          collisionPadding={8}
          aria-label={props.label}
        >
          {props.children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}

export function Item(props: { onSelect: () => void; danger?: boolean; children: ReactNode }) {
  return (
    <Radix.Item
      className={props.danger ? "menu-item menu-danger" : "menu-item"}
      onSelect={props.onSelect}
    >
      {props.children}
    </Radix.Item>
  );
}

export function Choice(props: { checked: boolean; onChange: () => void; children: ReactNode }) {
  return (
    <Radix.CheckboxItem
      className="menu-item"
      checked={props.checked}
      onCheckedChange={props.onChange}
      onSelect={(event) => event.preventDefault()}
    >
      <span className="menu-mark" aria-hidden="true">
        {props.checked ? "✓" : ""}
      </span>
      {props.children}
    </Radix.CheckboxItem>
  );
}

export function Radios<T extends string>(props: {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}) {
  return (
    <Radix.RadioGroup
      value={props.value}
      onValueChange={(value) => props.onChange(value as T)}
      aria-label={props.label}
    >
      <Radix.Label className="menu-label">{props.label}</Radix.Label>
      {props.options.map(([value, label]) => (
        <Radix.RadioItem
          key={value}
          value={value}
          className="menu-item"
          onSelect={(event) => event.preventDefault()}
        >
          <span className="menu-mark" aria-hidden="true">
            {props.value === value ? "•" : ""}
          </span>
          {label}
        </Radix.RadioItem>
      ))}
    </Radix.RadioGroup>
  );
}

export const Line = () => <Radix.Separator className="menu-line" />;
