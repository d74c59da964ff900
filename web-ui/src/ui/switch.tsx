import * as Radix from "@radix-ui/react-switch";

interface Props {
  label: string;
  checked: boolean;
  /** Asked for, and not yet told by the desk. */
  pending?: boolean;
  disabled?: boolean;
  why?: string;
  onChange: (checked: boolean) => void;
}

export function Switch({ label, checked, pending, disabled, why, onChange }: Props) {
  return (
    <Radix.Root
      className="switch"
      aria-label={label}
      aria-busy={pending || undefined}
      checked={checked}
      disabled={disabled || pending}
      title={why}
      onCheckedChange={onChange}
    >
      <Radix.Thumb className="switch-thumb" />
    </Radix.Root>
  );
}
