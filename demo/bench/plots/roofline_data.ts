/** What the roofline plot shows of reports, without how. @module */
import {
  adapterName,
  type BenchReport,
  rooflineOf,
  type RooflinePoint,
} from '../../../src/bench/index.ts';
import { labelsOf, letterOf } from '../records/naming.ts';

/** Roofs, and the points under them. */
export interface RooflineData {
  readonly roofs: readonly Roof[];
  readonly series: readonly RooflineSeries[];
}

/** The ceilings of one adapter. */
export interface Roof {
  readonly adapter: string;
  /** Of the first of its reports; its letter is empty where there is only one roof. */
  readonly index: number;
  readonly letter: string;
  /** The slope: operations per second = bandwidth · operations per byte. */
  readonly gigabytesPerSecond: number;
  /** The flat parts, in GFLOP/s. */
  readonly f32: number;
  readonly f16?: number;
  /** Least GPU time of a dispatch, in microseconds. */
  readonly dispatchUs: number;
}

/** The points of one report. */
export interface RooflineSeries {
  readonly label: string;
  /** Of the report among all, as in the other plots. */
  readonly index: number;
  /** Empty if there is one report only. */
  readonly letter: string;
  readonly points: readonly RooflinePoint[];
  /** Those without operations or without time, which a logarithmic axis has no place for. */
  readonly undrawn: readonly RooflinePoint[];
}

interface Range {
  readonly min: number;
  readonly max: number;
}

/** Reports whose ceilings were not measured have no roofline. */
export function rooflineData(reports: readonly BenchReport[]): RooflineData {
  const labels = labelsOf(reports);
  const measured = reports.flatMap((report, index) => {
    const roofline = rooflineOf(report);
    return roofline === undefined
      ? []
      : [{ adapter: adapterName(report.adapter), index, roofline }];
  });
  const series = measured.map(({ index, roofline: { points } }) => ({
    label: labels[index] ?? '',
    index,
    letter: reports.length > 1 ? `${letterOf(index)} ` : '',
    points: points.filter(isDrawn),
    undrawn: points.filter((point) => !isDrawn(point)),
  }));
  const adapters = [...new Set(measured.map(({ adapter }) => adapter))];
  const roofs = adapters.map((adapter): Roof => {
    const own = measured.filter((one) => one.adapter === adapter);
    const ceilings = own.map(({ roofline }) => roofline.ceilings);
    const f16 = ceilings.flatMap(({ f16GigaflopsPerSecond }) => f16GigaflopsPerSecond ?? []);
    const index = own[0]?.index ?? 0;
    return {
      adapter,
      index,
      letter: adapters.length > 1 ? `${letterOf(index)} ` : '',
      // What an adapter was seen to do once, it can do.
      gigabytesPerSecond: Math.max(...ceilings.map((one) => one.readGigabytesPerSecond)),
      f32: Math.max(...ceilings.map((one) => one.f32GigaflopsPerSecond)),
      ...(f16.length > 0 && { f16: Math.max(...f16) }),
      dispatchUs: Math.min(...ceilings.map((one) => one.dispatchUs)),
    };
  });
  return { roofs, series };
}

/** Whether there is anything to draw. */
export function hasPoints({ series }: RooflineData): boolean {
  return series.some(({ points }) => points.length > 0);
}

/** Axes on which everything has its place, with the ridges of the roofs and some room round it. */
export function rangesOf({ roofs, series }: RooflineData): {
  readonly x: Range;
  readonly y: Range;
} {
  const points = series.flatMap(({ points }) => points);
  const x = [
    ...points.map(({ flopsPerByte }) => flopsPerByte),
    ...roofs.map(({ f32, f16 = 0, gigabytesPerSecond }) => Math.max(f32, f16) / gigabytesPerSecond),
  ];
  const y = [
    ...points.map(({ gigaflopsPerSecond }) => gigaflopsPerSecond),
    ...roofs.flatMap(({ f32, f16 = f32 }) => [f32, f16]),
  ];
  return {
    x: { min: Math.min(...x) / 2, max: Math.max(...x) * 3 },
    y: { min: Math.min(...y) / 2.5, max: Math.max(...y) * 2.5 },
  };
}

function isDrawn({ flopsPerByte, gigaflopsPerSecond }: RooflinePoint): boolean {
  return [flopsPerByte, gigaflopsPerSecond].every((value) => Number.isFinite(value) && value > 0);
}
