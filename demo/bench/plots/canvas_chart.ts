/** The charts of the page: what of Chart.js is used, and how one gets onto a canvas or into a picture. @module */
import {
  BarController,
  BarElement,
  CategoryScale,
  Chart,
  type ChartConfiguration,
  Legend,
  LinearScale,
  LineElement,
  LogarithmicScale,
  PointElement,
  ScatterController,
  SubTitle,
  Title,
  Tooltip,
} from 'chart.js';
import type { Draw, Drawing, Heading, Mark } from './drawing.ts';
import { fontOf, type Look, readLook } from './look.ts';

Chart.register(
  BarController,
  BarElement,
  CategoryScale,
  Legend,
  LinearScale,
  LineElement,
  LogarithmicScale,
  PointElement,
  ScatterController,
  SubTitle,
  Title,
  Tooltip,
);

/** Of a picture, in pixels; it has `ratio` times as many of them, to be sharp on any screen. */
const PICTURE = { width: 1000, ratio: 2, fontSize: 15, padding: 24, headHeight: 120 };

/** A chart on the page. */
export interface LiveChart {
  readonly chart: Chart;
  readonly marks: readonly Mark[];
  /** Whether it was drawn for a narrow page. */
  readonly isNarrow: boolean;
}

/**
 * Draws a chart as wide as the canvas' parent, and makes that as high as the chart has to be. The caller destroys it.
 *
 * @param box - the canvas' parent, which holds nothing else
 */
export function drawChart(canvas: HTMLCanvasElement, box: HTMLElement, draw: Draw): LiveChart {
  const look = readLook(box, box.clientWidth);
  const drawing = draw(look);
  box.style.height = `${drawing.height}px`;
  const chart = new Chart(canvas, configOf(drawing, look));
  return { chart, marks: drawing.marks, isNarrow: look.isNarrow };
}

/**
 * A chart as a PNG file, of the same size on any screen.
 *
 * @param page - whose fonts and colors it has
 */
export async function pictureOf(page: HTMLElement, draw: Draw, heading: Heading): Promise<Blob> {
  const look = { ...readLook(page, PICTURE.width), fontSize: PICTURE.fontSize };
  const drawing = draw(look);
  const canvas = document.createElement('canvas');
  canvas.width = PICTURE.width;
  canvas.height = drawing.height + PICTURE.headHeight;
  const chart = new Chart(canvas, pictureConfig(configOf(drawing, look), look, heading));
  try {
    return await new Promise((resolve, reject) => {
      canvas.toBlob((blob) => {
        if (blob === null) reject(new Error('the browser could not make a picture of the plot'));
        else resolve(blob);
      }, 'image/png');
    });
  } finally {
    chart.destroy();
  }
}

/** Shows what there is to say about a mark, or about none; returns it as a sentence. */
export function activate({ chart }: LiveChart, mark: Mark | undefined): string {
  const active = mark === undefined ? [] : [{ datasetIndex: mark.datasetIndex, index: mark.index }];
  chart.setActiveElements(active);
  chart.tooltip?.setActiveElements(active, { x: 0, y: 0 });
  chart.update('none');
  return mark === undefined ? '' : [mark.title, ...mark.lines].join(', ');
}

function configOf(drawing: Drawing, look: Look): ChartConfiguration {
  const { type, data, options, plugins, marks, legend } = drawing;
  const markAt = (
    item: { readonly datasetIndex: number; readonly dataIndex: number } | undefined,
  ) =>
    marks.find((mark) => mark.datasetIndex === item?.datasetIndex && mark.index === item.dataIndex);
  const lettersWide = look.isNarrow ? 44 : 90;
  return {
    type,
    data,
    plugins: [...plugins],
    options: {
      animation: false,
      maintainAspectRatio: false,
      ...options,
      plugins: {
        legend: {
          display: legend.length > 0,
          position: 'bottom',
          align: 'start',
          // Hiding a report would be for the pointer only.
          onClick: () => undefined,
          labels: {
            usePointStyle: true,
            boxHeight: 8,
            boxWidth: 12,
            padding: 8,
            font: fontOf(look),
            generateLabels: () =>
              legend.map(({ text, color, shape }) => ({
                text: cut(text, lettersWide),
                fillStyle: color,
                strokeStyle: color,
                fontColor: look.ink,
                lineWidth: 2,
                pointStyle: shape,
              })),
          },
        },
        tooltip: {
          backgroundColor: look.ink,
          titleColor: look.ground,
          bodyColor: look.ground,
          displayColors: false,
          titleFont: { ...fontOf(look), weight: 'bold' },
          bodyFont: fontOf(look),
          filter: (item) => markAt(item) !== undefined,
          callbacks: {
            title: (items) => markAt(items[0])?.title ?? '',
            label: (item) => [...(markAt(item)?.lines ?? [])],
          },
        },
      },
    },
  };
}

/** A picture has a ground, without which it may be unreadable, and a heading. */
function pictureConfig(
  { options, plugins = [], ...config }: ChartConfiguration,
  { ink, quiet, ground, fontFamily, fontSize }: Look,
  { title, subtitle }: Heading,
): ChartConfiguration {
  const text = (text: string, color: string, size: number) =>
    ({ display: true, align: 'start', text, color, font: { family: fontFamily, size } }) as const;
  return {
    ...config,
    options: {
      ...options,
      responsive: false,
      devicePixelRatio: PICTURE.ratio,
      layout: { padding: PICTURE.padding },
      plugins: {
        ...options?.plugins,
        title: text(title, ink, 1.5 * fontSize),
        subtitle: { ...text(subtitle, quiet, fontSize), padding: { bottom: fontSize } },
      },
    },
    plugins: [
      ...plugins,
      {
        id: 'ground',
        beforeDraw({ ctx, width, height }) {
          ctx.save();
          ctx.fillStyle = ground;
          ctx.fillRect(0, 0, width, height);
          ctx.restore();
        },
      },
    ],
  };
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
