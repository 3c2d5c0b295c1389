// One output-stationary processing element: its sum stays, activations move right, weights move down.
//
// Timing, in the cycle in which valid_in is 1:
//   the product of activation_in and weight_in is added to the sum (to 0 if first_in); `overflow` is raised in this
//   same cycle if the exact result leaves the accumulator; the clock edge that ends the cycle writes the sum, and
//   hands operands and tags to the neighbours.
// SHADOW = 0: while shift_in is 1 the sum itself is replaced by sum_in, the sum of the PE above.
// SHADOW = 1: the edge that writes the last sum of a fold (last_in) also copies it into a shadow register, and
//   shift_in moves the shadows, so that the next fold may add meanwhile. Only then do `last` and `shift` travel.
module os_pe #(
    parameter int A_BITS = 8,
    parameter int A_SIGNED = 1,
    parameter int W_BITS = 8,
    parameter int W_SIGNED = 1,
    parameter int ACC_BITS = 24,
    parameter int SATURATE = 1,
    parameter int SHADOW = 0
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire        [  A_BITS-1:0] activation_in,
    input  wire                       valid_in,
    input  wire                       first_in,
    input  wire                       last_in,
    input  wire                       shift_in,
    input  wire        [  W_BITS-1:0] weight_in,
    input  wire signed [ACC_BITS-1:0] sum_in,
    output reg         [  A_BITS-1:0] activation,
    output reg                        valid,
    output reg                        first,
    output reg                        last,
    output reg                        shift,
    output reg         [  W_BITS-1:0] weight,
    output wire signed [ACC_BITS-1:0] sum,
    output wire                       overflow
);
  localparam int PRODUCT_BITS = A_BITS + W_BITS + 2;

  reg signed [ACC_BITS-1:0] accumulator;
  wire signed [PRODUCT_BITS-1:0] product;
  wire signed [ACC_BITS-1:0] next;
  wire out_of_range;

  multiply #(
      .A_BITS  (A_BITS),
      .A_SIGNED(A_SIGNED),
      .W_BITS  (W_BITS),
      .W_SIGNED(W_SIGNED)
  ) multiplier (
      .activation(activation_in),
      .weight(weight_in),
      .product(product)
  );

  checked_add #(
      .ACC_BITS(ACC_BITS),
      .ADDEND_BITS(PRODUCT_BITS),
      .SATURATE(SATURATE)
  ) adder (
      .value(first_in ? {ACC_BITS{1'b0}} : accumulator),
      .addend(product),
      .result(next),
      .overflow(out_of_range)
  );

  assign overflow = valid_in && out_of_range;

  always @(posedge clk) begin
    if (rst) begin
      activation <= {A_BITS{1'b0}};
      weight <= {W_BITS{1'b0}};
      {valid, first, last, shift} <= 4'b0;
    end else begin
      activation <= activation_in;
      weight <= weight_in;
      {valid, first} <= {valid_in, first_in};
      {last, shift} <= (SHADOW != 0) ? {last_in, shift_in} : 2'b0;
    end
  end

  generate
    if (SHADOW != 0) begin : shadowed
      reg signed [ACC_BITS-1:0] shadow;
      always @(posedge clk) begin
        if (rst) begin
          accumulator <= {ACC_BITS{1'b0}};
          shadow <= {ACC_BITS{1'b0}};
        end else begin
          if (valid_in) accumulator <= next;
          if (valid_in && last_in) shadow <= next;
          else if (shift_in) shadow <= sum_in;
        end
      end
      assign sum = shadow;
    end else begin : plain
      always @(posedge clk) begin
        if (rst) accumulator <= {ACC_BITS{1'b0}};
        else if (shift_in) accumulator <= sum_in;
        else if (valid_in) accumulator <= next;
      end
      assign sum = accumulator;
    end
  endgenerate
endmodule
