// The output-stationary array with its operand memories, feeders and fold sequencer.
//
// Activation bank r holds the rows r, ROWS + r, 2 ROWS + r ... of the (out_rows, depth) activations, one after the
// other; weight bank c the columns c, COLS + c ... of the (depth, out_cols) weights; places past the matrix hold 0.
//
// Timing: `running` rises in cycle 0, in which the first operands stand at the array's inputs. An overflow is raised in
// the cycle of its add: bit r * COLS + c; the bits of row ROWS (accumulators under the array) stay 0. out_valid[c] says
// that `out_sums` holds an output of column c in this cycle: per fold ROWS of them, bottom row first; `out_tile` is
// its column tile.
module os_core #(
    parameter int ROWS = 16,
    parameter int COLS = 16,
    parameter int A_BITS = 8,
    parameter int A_SIGNED = 1,
    parameter int W_BITS = 8,
    parameter int W_SIGNED = 1,
    parameter int ACC_BITS = 24,
    parameter int SATURATE = 1,
    parameter int OVERLAP = 0,
    parameter int A_ADDRESS_BITS = 8,
    parameter int W_ADDRESS_BITS = 8,
    parameter int COUNT_BITS = 24
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       start,
    input  wire [     COUNT_BITS-1:0] length,
    input  wire [     COUNT_BITS-1:0] outer_tiles,
    input  wire [     COUNT_BITS-1:0] inner_tiles,
    input  wire                       write_activations,
    input  wire [ A_ADDRESS_BITS-1:0] activation_write_address,
    input  wire [    ROWS*A_BITS-1:0] activation_write_data,
    input  wire                       write_weights,
    input  wire [ W_ADDRESS_BITS-1:0] weight_write_address,
    input  wire [    COLS*W_BITS-1:0] weight_write_data,
    output reg                        running,
    output wire                       corner_valid,
    output wire [(ROWS+1)*COLS-1:0]   overflow,
    output wire [           COLS-1:0] out_valid,
    output wire [  COLS*ACC_BITS-1:0] out_sums,
    output wire [COLS*COUNT_BITS-1:0] out_tile
);
  wire read, first, last, draining;
  wire [A_ADDRESS_BITS-1:0] activation_address;
  wire [W_ADDRESS_BITS-1:0] weight_address;
  wire [ROWS-1:0] shift;
  wire [COUNT_BITS-1:0] tile;

  os_sequencer #(
      .ROWS(ROWS),
      .COLS(COLS),
      .OVERLAP(OVERLAP),
      .A_ADDRESS_BITS(A_ADDRESS_BITS),
      .W_ADDRESS_BITS(W_ADDRESS_BITS),
      .COUNT_BITS(COUNT_BITS)
  ) sequencer (
      .clk(clk),
      .rst(rst),
      .start(start),
      .length(length),
      .outer_tiles(outer_tiles),
      .inner_tiles(inner_tiles),
      .read(read),
      .first(first),
      .last(last),
      .activation_address(activation_address),
      .weight_address(weight_address),
      .shift(shift),
      .draining(draining),
      .tile(tile)
  );

  always @(posedge clk) running <= !rst && (running || read);

  wire [ROWS*A_BITS-1:0] activations_in;
  wire [COLS*W_BITS-1:0] weights_in;
  wire [ROWS-1:0] valid_in, first_in, last_in;
  wire [2*ROWS-1:0] row_tags;
  wire [  COLS-1:0] weights_valid, weight_tags;
  wire unused = &{1'b0, weights_valid, weight_tags};

  operand_feeder #(
      .LANES(ROWS),
      .BITS(A_BITS),
      .ADDRESS_BITS(A_ADDRESS_BITS),
      .TAG_BITS(2),
      .SKEW(1)
  ) activation_feeder (
      .clk(clk),
      .rst(rst),
      .write(write_activations),
      .write_address(activation_write_address),
      .write_data(activation_write_data),
      .read(read),
      .read_address(activation_address),
      .read_tags({last, first}),
      .operands(activations_in),
      .valid(valid_in),
      .tags(row_tags)
  );

  operand_feeder #(
      .LANES(COLS),
      .BITS(W_BITS),
      .ADDRESS_BITS(W_ADDRESS_BITS),
      .TAG_BITS(1),
      .SKEW(1)
  ) weight_feeder (
      .clk(clk),
      .rst(rst),
      .write(write_weights),
      .write_address(weight_write_address),
      .write_data(weight_write_data),
      .read(read),
      .read_address(weight_address),
      .read_tags(1'b0),
      .operands(weights_in),
      .valid(weights_valid),
      .tags(weight_tags)
  );

  os_array #(
      .ROWS(ROWS),
      .COLS(COLS),
      .A_BITS(A_BITS),
      .A_SIGNED(A_SIGNED),
      .W_BITS(W_BITS),
      .W_SIGNED(W_SIGNED),
      .ACC_BITS(ACC_BITS),
      .SATURATE(SATURATE),
      .SHADOW(OVERLAP == 0 ? 0 : 1),
      .SKEW_SHIFT(OVERLAP == 2 ? 1 : 0)
  ) array (
      .clk(clk),
      .rst(rst),
      .activations_in(activations_in),
      .valid_in(valid_in),
      .first_in(first_in),
      .last_in(last_in),
      .shift_in(shift),
      .weights_in(weights_in),
      .sums(out_sums),
      .corner_valid(corner_valid),
      .overflow(overflow[ROWS*COLS-1:0])
  );

  assign overflow[ROWS*COLS+:COLS] = {COLS{1'b0}};

  generate
    genvar r, c;
    for (r = 0; r < ROWS; r = r + 1) begin : row
      assign {last_in[r], first_in[r]} = row_tags[2*r+:2];
    end
    for (c = 0; c < COLS; c = c + 1) begin : column
      delay_line #(
          .BITS  (1 + COUNT_BITS),
          .CYCLES(OVERLAP == 2 ? c : 0)
      ) skew (
          .clk(clk),
          .rst(rst),
          .d  ({draining, tile}),
          .q  ({out_valid[c], out_tile[c*COUNT_BITS+:COUNT_BITS]})
      );
    end
  endgenerate
endmodule
