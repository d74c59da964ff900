import type { AnchorHTMLAttributes, MouseEvent } from "react";
import { go, hrefOf, useRoute } from "./router";

type Props = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href"> & {
  to: string;
  query?: Readonly<Record<string, string | null>>;
};

/** A link within the page: no reload, and it takes the moment along that is shown. */
export function Link({ to, query, onClick, ...rest }: Props) {
  useRoute();
  const href = hrefOf(to, query);
  const click = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const other = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (event.defaultPrevented || other || event.button !== 0) return;
    event.preventDefault();
    go(href);
  };
  return <a href={href} onClick={click} {...rest} />;
}
