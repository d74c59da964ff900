import { useVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, type ReactNode, useMemo, useRef, useState } from "react";
import { useSpeech } from "../i18n";
import { setQuery, useRoute } from "../shell/router";
import { csv, curl, download } from "../util/files";
import { load, save } from "../util/prefs";
import { Icon } from "./icons";
import { Choice, Item, Menu } from "./menu";
import { useToast } from "./toast";

export interface Column<T> {
  id: string;
  title: string;
  cell: (row: T) => ReactNode;
  /** What the column is sorted by and exported as; without it, it is neither. */
  value?: (row: T) => string | number | boolean | null;
  /** `number`: to the right, in tabular figures. */
  kind?: "number" | "text";
  width?: string;
  /** Not shown until somebody chooses it. */
  hidden?: boolean;
}

interface Props<T> {
  /** Names the table in the address and in what is remembered of it. */
  id: string;
  label: string;
  rows: readonly T[];
  rowKey: (row: T) => string;
  columns: readonly Column<T>[];
  /** What the filter looks at; without it there is none. */
  text?: (row: T) => string;
  onOpen?: (row: T) => void;
  /** The path that asks the desk for the same. */
  source?: string;
  tools?: ReactNode;
  empty: ReactNode;
  rowHeight?: number;
  /** Rows come in an order that means something, and none is chosen at first. */
  sort?: string;
  tall?: boolean;
}

/** A table for a dozen rows or a hundred thousand: only those in sight are drawn. */
export function Table<T>(props: Props<T>) {
  const { id, rows, columns, text, rowHeight = 44 } = props;
  const { t, n } = useSpeech();
  const toast = useToast();
  const { query } = useRoute();
  const filter = query.get(`${id}.q`) ?? "";
  const sort = query.get(`${id}.sort`) ?? props.sort ?? "";
  const [chosen, setChosen] = useState<readonly string[] | null>(() =>
    load<readonly string[] | null>(`tidehelm.columns.${id}`, null),
  );
  const shown = columns.filter((column) =>
    chosen ? chosen.includes(column.id) : column.hidden !== true,
  );

  const matching = useMemo(() => {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0 || !text) return rows;
    return rows.filter((row) => {
      const line = text(row).toLowerCase();
      return words.every((word) => line.includes(word));
    });
  }, [rows, filter, text]);

  const sorted = useMemo(() => {
    const down = sort.startsWith("-");
    const value = columns.find((column) => column.id === sort.replace(/^-/, ""))?.value;
    if (!value) return matching;
    const by = [...matching].sort((a, b) => compare(value(a), value(b)));
    return down ? by.reverse() : by;
  }, [matching, columns, sort]);

  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: sorted.length,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    initialRect: { width: 800, height: 600 },
    getItemKey: (index) => {
      const row = sorted[index];
      return row === undefined ? index : props.rowKey(row);
    },
  });
  const items = virtual.getVirtualItems();
  const above = items[0]?.start ?? 0;
  const below = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);

  /** Not a state: two keys in one frame must count as two. */
  const at = useRef(-1);
  const move = (to: number) => {
    const next = Math.max(0, Math.min(sorted.length - 1, to));
    at.current = next;
    virtual.scrollToIndex(next);
    requestAnimationFrame(() =>
      box.current?.querySelector<HTMLElement>(`tr[data-index="${next}"]`)?.focus(),
    );
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const inField = (event.target as HTMLElement).closest("input, select, textarea, button, a");
    if (event.ctrlKey || event.metaKey || event.altKey || sorted.length === 0) return;
    if (event.key === "Enter" && !inField && at.current >= 0) {
      const row = sorted[at.current];
      if (row !== undefined) props.onOpen?.(row);
      return;
    }
    const steps: Record<string, number> = {
      j: at.current + 1,
      ArrowDown: at.current + 1,
      k: at.current - 1,
      ArrowUp: at.current - 1,
    };
    const to =
      event.key === "Home" ? 0 : event.key === "End" ? sorted.length - 1 : steps[event.key];
    if (to === undefined || (inField && event.key.length > 1)) return;
    event.preventDefault();
    move(to);
  };

  const choose = (column: string) => {
    const now = shown.map((one) => one.id);
    const next = now.includes(column) ? now.filter((one) => one !== column) : [...now, column];
    if (next.length === 0) return;
    setChosen(next);
    save(`tidehelm.columns.${id}`, next);
  };
  const exported = shown.filter((column) => column.value);
  const asCsv = () =>
    csv(
      exported.map((column) => column.title),
      sorted.map((row) => exported.map((column) => column.value?.(row) ?? null)),
    );
  const copy = async (line: string) => {
    try {
      await navigator.clipboard.writeText(line);
      toast.good(t("table.copied"));
    } catch (error) {
      toast.bad(error);
    }
  };

  return (
    <div className="table-wrap">
      <div className="table-bar">
        {text && (
          <label className="filter">
            <Icon name="search" size={16} />
            <span className="hidden">{t("table.filter")}</span>
            <input
              type="search"
              data-filter
              placeholder={t("table.filter")}
              value={filter}
              onChange={(event) => setQuery({ [`${id}.q`]: event.target.value })}
            />
          </label>
        )}
        {props.tools}
        <span className="table-count" role="status">
          {sorted.length === rows.length
            ? n("table.rows", rows.length)
            : t("table.some", { some: sorted.length, all: rows.length })}
        </span>
        <Menu
          label={t("table.menu")}
          trigger={
            <button type="button" className="button square" aria-label={t("table.menu")}>
              <Icon name="columns" />
            </button>
          }
        >
          {columns.map((column) => (
            <Choice
              key={column.id}
              checked={shown.includes(column)}
              onChange={() => choose(column.id)}
            >
              {column.title}
            </Choice>
          ))}
          <hr className="menu-line" />
          <Item onSelect={() => download(`${id}.csv`, "text/csv", asCsv())}>
            <Icon name="download" size={16} /> CSV
          </Item>
          <Item
            onSelect={() =>
              download(`${id}.json`, "application/json", JSON.stringify(sorted, null, 1))
            }
          >
            <Icon name="download" size={16} /> JSON
          </Item>
          {props.source && (
            <Item onSelect={() => void copy(curl(props.source ?? ""))}>
              <Icon name="terminal" size={16} /> {t("table.curl")}
            </Item>
          )}
        </Menu>
      </div>
      {sorted.length === 0 ? (
        rows.length === 0 ? (
          props.empty
        ) : (
          <p className="nothing">
            {t("table.no_match")}{" "}
            <button
              type="button"
              className="button quiet"
              onClick={() => setQuery({ [`${id}.q`]: null })}
            >
              {t("table.clear")}
            </button>
          </p>
        )
      ) : (
        <div
          className={props.tall ? "table-box table-tall" : "table-box"}
          ref={box}
          role="region"
          aria-label={props.label}
          tabIndex={0}
          onKeyDown={onKeyDown}
        >
          <table aria-rowcount={sorted.length + 1}>
            <thead>
              <tr aria-rowindex={1}>
                {shown.map((column) => (
                  <Head key={column.id} id={id} column={column} sort={sort} />
                ))}
              </tr>
            </thead>
            <tbody>
              {above > 0 && (
                <tr aria-hidden="true">
                  <td colSpan={shown.length} style={{ height: above, padding: 0 }} />
                </tr>
              )}
              {items.map((item) => {
                const row = sorted[item.index] as T;
                return (
                  <tr
                    key={item.key}
                    ref={virtual.measureElement}
                    data-index={item.index}
                    aria-rowindex={item.index + 2}
                    tabIndex={-1}
                    className={props.onOpen ? "opens" : undefined}
                    style={{ height: rowHeight }}
                    onClick={(event) => {
                      at.current = item.index;
                      const inside = (event.target as HTMLElement).closest(
                        "a, button, input, label",
                      );
                      if (!inside && !window.getSelection()?.toString()) props.onOpen?.(row);
                    }}
                  >
                    {shown.map((column) => (
                      <td
                        key={column.id}
                        className={column.kind === "number" ? "number" : undefined}
                      >
                        {column.cell(row)}
                      </td>
                    ))}
                  </tr>
                );
              })}
              {below > 0 && (
                <tr aria-hidden="true">
                  <td colSpan={shown.length} style={{ height: below, padding: 0 }} />
                </tr>
              )}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function Head<T>({ id, column, sort }: { id: string; column: Column<T>; sort: string }) {
  const { t } = useSpeech();
  const sorted = sort.replace(/^-/, "") === column.id;
  const down = sort.startsWith("-");
  const next = !sorted ? column.id : down ? null : `-${column.id}`;
  return (
    <th
      scope="col"
      className={column.kind === "number" ? "number" : undefined}
      style={column.width ? { width: column.width } : undefined}
      {...(sorted ? { "aria-sort": down ? "descending" : "ascending" } : {})}
    >
      {column.value ? (
        <button
          type="button"
          className="sorter"
          title={t("table.sort", { column: column.title })}
          onClick={() => setQuery({ [`${id}.sort`]: next })}
        >
          {column.title}
          <span aria-hidden="true" className="sorter-mark">
            {sorted ? (down ? "▾" : "▴") : ""}
          </span>
        </button>
      ) : (
        column.title
      )}
    </th>
  );
}

type Value = string | number | boolean | null;

/** Numbers by size, also those told as text; nothing comes last. */
export function compare(a: Value, b: Value): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  if (typeof a === "string" && typeof b === "string") {
    const x = Number(a);
    const y = Number(b);
    if (a !== "" && b !== "" && !Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    return a < b ? -1 : a > b ? 1 : 0;
  }
  return Number(a) - Number(b);
}
