import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useSpeech } from "../i18n";
import { usePrefs } from "../util/prefs";

export interface Series {
  label: string;
  /** A custom property of the style sheet, such as `--tide`. */
  colour: string;
  values: readonly (number | null)[];
  kind?: "line" | "bars" | "area";
}

interface Props {
  /** Seconds since 1970. */
  times: readonly number[];
  series: readonly Series[];
  height?: number;
  /** What the picture shows, for those who do not see it. */
  label: string;
  format?: (value: number) => string;
  /** From the least to the most, not from zero. */
  fit?: boolean;
}

/** A chart over time. What it shows is said in words by `label`. */
export default function Chart({ times, series, height = 180, label, format, fit }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const { theme } = usePrefs();
  const { t } = useSpeech();
  const shape = `${theme}|${t("travel.time")}|${height}|${series.map((one) => `${one.label}${one.colour}${one.kind}`).join("|")}`;

  // biome-ignore lint/correctness/useExhaustiveDependencies: the shape says when the picture is another one
  useEffect(() => {
    const at = box.current;
    if (!at) return;
    const style = getComputedStyle(at);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const times24 = "{HH}:{mm}";
    const axis: uPlot.Axis = {
      stroke: colour("--muted"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
      font: `11px ${colour("--sans")}`,
    };
    const bars = uPlot.paths.bars?.({ size: [0.7, 24] });
    const made = new uPlot(
      {
        width: at.clientWidth || 600,
        height,
        cursor: { y: false },
        legend: { show: true, live: true },
        scales: {
          y: {
            range: (_, low, high) => {
              if (fit) {
                const room = (high - low) * 0.08 || Math.abs(high) * 0.001 || 1;
                return [low - room, high + room];
              }
              return [Math.min(0, low), high <= 0 ? 1 : high * 1.08];
            },
          },
        },
        axes: [
          { ...axis, values: DATES(times24) },
          {
            ...axis,
            size: 54,
            values: (_, ticks) =>
              ticks.map((tick) => (format ? format(tick) : tick.toLocaleString("en-US"))),
          },
        ],
        series: [
          {
            label: t("travel.time"),
            value: (_, at) => (at ? new Date(at * 1000).toLocaleString() : "–"),
          },
          ...series.map(
            (one): uPlot.Series => ({
              label: one.label,
              stroke: colour(one.colour),
              width: one.kind === "bars" ? 0 : 2,
              points: { show: false },
              ...(one.kind === "bars" && bars ? { paths: bars, fill: colour(one.colour) } : {}),
              ...(one.kind === "area" ? { fill: `${colour(one.colour)}33` } : {}),
              value: (_, value) =>
                value == null ? "–" : format ? format(value) : value.toLocaleString("en-US"),
            }),
          ),
        ],
      },
      dataOf(times, series),
      at,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: at.clientWidth, height }));
    watch.observe(at);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(dataOf(times, series));
  }, [times, series]);

  return <div className="chart" ref={box} role="img" aria-label={label} />;
}

/** Axis labels by the distance of their ticks, with a clock of 24 hours. */
const DATES = (clock: string): uPlot.Axis.Values => [
  [86_400, "{YYYY}-{MM}-{DD}", null, null, null, null, null, null, 1],
  [60, clock, "\n{YYYY}-{MM}-{DD}", null, "\n{YYYY}-{MM}-{DD}", null, null, null, 1],
  [1, `${clock}:{ss}`, "\n{YYYY}-{MM}-{DD}", null, "\n{YYYY}-{MM}-{DD}", null, null, null, 1],
];

const dataOf = (times: readonly number[], series: readonly Series[]): uPlot.AlignedData =>
  [[...times], ...series.map((one) => [...one.values])] as uPlot.AlignedData;
